//! One JavaScript runtime. Every way into the script goes through `enter`, which turns what it throws into an outcome.

use std::rc::Rc;

use rquickjs::function::{Args, IntoArgs};
use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::{
    CatchResultExt as _, CaughtError, Context, Ctx, Error, FromJs, Function, Module, Object, Persistent, Runtime, Value,
};

use super::script::Script;
use super::{builtins, host};
use crate::frames::Ending;
use crate::limits::SCRIPT_STACK_BYTES;

pub(super) struct Engine {
    runtime: Runtime,
    context: Context,
    script: Rc<Script>,
    /// What start.js answered: the functions that the event loop calls.
    entry: Persistent<Object<'static>>,
}

impl Engine {
    /// On the thread that will run it: the engine measures its stack from here.
    pub(super) fn start(script: Rc<Script>) -> Result<Self, String> {
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let memory_bytes =
            usize::try_from(script.setup().init.memory_mb).unwrap_or(usize::MAX).saturating_mul(1024 * 1024);
        runtime.set_memory_limit(memory_bytes);
        runtime.set_max_stack_size(SCRIPT_STACK_BYTES);
        let own = Rc::clone(&script);
        runtime.set_interrupt_handler(Some(Box::new(move || own.interrupts())));
        let context = Context::full(&runtime).map_err(|error| error.to_string())?;
        let entry = context.with(|ctx| evaluate_start(&ctx, &script).catch(&ctx).map_err(|error| describe(&error)))?;
        let engine = Self { runtime, context, script, entry };
        engine.track_rejections();
        engine
            .runtime
            .set_loader(ImportPath { entry: engine.entry.clone() }, ImportSource { entry: engine.entry.clone() });
        Ok(engine)
    }

    fn track_rejections(&self) {
        let entry = self.entry.clone();
        self.runtime.set_host_promise_rejection_tracker(Some(Box::new(move |ctx, promise, reason, is_handled| {
            // Failing to note a rejection loses a report, never a result.
            let noted = entry
                .clone()
                .restore(&ctx)
                .and_then(|entry| entry.get::<_, Function<'_>>("rejected"))
                .and_then(|rejected| rejected.call::<_, ()>((promise, reason, is_handled)));
            if noted.is_err() {
                ctx.catch();
            }
        })));
    }

    /// Calls one of the entry functions; `None` means that the outcome is set.
    pub(super) fn enter<A, R>(&self, name: &str, arguments: A) -> Option<R>
    where
        A: for<'js> IntoArgs<'js>,
        R: for<'js> FromJs<'js>,
    {
        self.context.with(|ctx| {
            let result = call(&ctx, &self.entry, name, arguments);
            self.settled(&ctx, result)
        })
    }

    /// Runs promise jobs until none is left or the outcome is set.
    pub(super) fn run_jobs(&self) {
        while !self.script.has_ended() || self.script.is_interrupted() {
            match self.runtime.execute_pending_job() {
                Ok(true) => {}
                Ok(false) => return,
                Err(thrown) => {
                    thrown.0.with(|ctx| self.settled::<()>(&ctx, Err(Error::Exception)));
                    return;
                }
            }
        }
    }

    fn settled<R>(&self, ctx: &Ctx<'_>, result: rquickjs::Result<R>) -> Option<R> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let thrown = if error.is_exception() { Some(ctx.catch()) } else { None };
                self.blame(ctx, thrown);
                None
            }
        }
    }

    /// Sets the outcome for what nobody caught.
    fn blame<'js>(&self, ctx: &Ctx<'js>, thrown: Option<Value<'js>>) {
        if self.script.is_interrupted() || self.script.has_ended() {
            return;
        }
        // The engine throws null when not even the error for "out of memory" can be allocated.
        let Some(thrown) = thrown.filter(|value| !value.is_null()) else {
            return self.script.end(Ending::OutOfMemory);
        };
        let told = call::<_, ()>(ctx, &self.entry, "uncaught", (thrown,));
        if told.is_err() {
            ctx.catch();
            if !self.script.is_interrupted() {
                self.script.end(Ending::OutOfMemory);
            }
        }
    }

    /// Walks the whole heap.
    pub(super) fn memory_bytes(&self) -> u64 {
        u64::try_from(self.runtime.memory_usage().malloc_size).unwrap_or(0)
    }
}

fn call<'js, A, R>(ctx: &Ctx<'js>, entry: &Persistent<Object<'static>>, name: &str, arguments: A) -> rquickjs::Result<R>
where
    A: IntoArgs<'js>,
    R: FromJs<'js>,
{
    let function: Function<'js> = entry.clone().restore(ctx)?.get(name)?;
    let mut list = Args::new(ctx.clone(), arguments.num_args());
    arguments.into_args(&mut list)?;
    function.call_arg(list)
}

fn evaluate_start(ctx: &Ctx<'_>, script: &Rc<Script>) -> rquickjs::Result<Persistent<Object<'static>>> {
    let mut options = rquickjs::context::EvalOptions::default();
    options.filename = Some("landfall:start".to_owned());
    let start: Function<'_> = ctx.eval_with_options(builtins::START, options)?;
    let settings = ctx.json_parse(script.setup().settings.as_str())?;
    let entry: Object<'_> = start.call((host::object(ctx, script)?, settings))?;
    Ok(Persistent::save(ctx, entry))
}

fn describe(error: &CaughtError<'_>) -> String {
    error.to_string()
}

/// Finds modules by the same rules as `require`; they are in modules.js.
struct ImportPath {
    entry: Persistent<Object<'static>>,
}

impl Resolver for ImportPath {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        base: &str,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> rquickjs::Result<String> {
        call(ctx, &self.entry, "resolveImport", (name, base))
    }
}

struct ImportSource {
    entry: Persistent<Object<'static>>,
}

impl Loader for ImportSource {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> rquickjs::Result<Module<'js, Declared>> {
        let source: String = call(ctx, &self.entry, "moduleSource", (name,))?;
        Module::declare(ctx.clone(), name, source)
    }
}
