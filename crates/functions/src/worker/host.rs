//! What a script can reach outside of its own heap: the functions of the host object, and nothing else.
//! Only the runtime's own JavaScript sees the object.

use std::rc::Rc;

use aws_lc_rs::{digest, hmac, rand};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rquickjs::promise::PromiseState;
use rquickjs::{Ctx, Exception, FromJs, Function, Object, Promise, Result, TypedArray, Value};

use super::builtins;
use super::script::Script;

/// Node takes base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// One call's worth of randomness; more is asked for in pieces.
const RANDOM_BYTES_MAX: usize = 65_536;

/// Bytes from a script come as a string of one character per byte: the engine's memory cannot be borrowed safely.
struct Octets(Vec<u8>);

impl<'js> FromJs<'js> for Octets {
    fn from_js(ctx: &Ctx<'js>, value: Value<'js>) -> Result<Self> {
        let text = String::from_js(ctx, value)?;
        text.chars()
            .map(|c| u8::try_from(u32::from(c)))
            .collect::<std::result::Result<_, _>>()
            .map(Self)
            .map_err(|_| Exception::throw_range(ctx, "a character beyond one byte"))
    }
}

pub(super) fn object<'js>(ctx: &Ctx<'js>, script: &Rc<Script>) -> Result<Object<'js>> {
    let host = Object::new(ctx.clone())?;
    add_outcomes(&host, ctx, script)?;
    add_clock(&host, ctx, script)?;
    add_package(&host, ctx, script)?;
    add_text(&host, ctx)?;
    add_crypto(&host, ctx)?;
    host.set("compile", Function::new(ctx.clone(), compile)?)?;
    host.set("builtin", Function::new(ctx.clone(), |name: String| builtins::source(&name))?)?;
    host.set("promiseState", Function::new(ctx.clone(), promise_state)?)?;
    Ok(host)
}

fn add_outcomes<'js>(host: &Object<'js>, ctx: &Ctx<'js>, script: &Rc<Script>) -> Result<()> {
    let own = Rc::clone(script);
    host.set("log", Function::new(ctx.clone(), move |level: String, text: String| own.log(&level, &text))?)?;
    let own = Rc::clone(script);
    host.set("write", Function::new(ctx.clone(), move |text: String| own.write(text))?)?;
    let own = Rc::clone(script);
    host.set("loaded", Function::new(ctx.clone(), move || own.set_loaded())?)?;
    let own = Rc::clone(script);
    host.set("succeed", Function::new(ctx.clone(), move |json: String| own.succeed(json))?)?;
    let own = Rc::clone(script);
    host.set("fail", Function::new(ctx.clone(), move |json: String| own.fail(json))?)?;
    let own = Rc::clone(script);
    host.set("failUncaught", Function::new(ctx.clone(), move |json: String| own.fail_uncaught(json))?)?;
    let own = Rc::clone(script);
    host.set("outOfMemory", Function::new(ctx.clone(), move || own.out_of_memory())?)?;
    let own = Rc::clone(script);
    host.set(
        "exit",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, status: i32| -> Result<()> {
            own.exit(status);
            Err(Exception::throw_internal(&ctx, "process.exit was called"))
        })?,
    )?;
    let own = Rc::clone(script);
    host.set(
        "awsCall",
        Function::new(
            ctx.clone(),
            move |ctx: Ctx<'js>, call: u32, service: String, operation: String, input: String| -> Result<()> {
                own.call_aws(call, service, operation, input).map_err(|text| Exception::throw_range(&ctx, &text))
            },
        )?,
    )
}

fn add_clock<'js>(host: &Object<'js>, ctx: &Ctx<'js>, script: &Rc<Script>) -> Result<()> {
    let own = Rc::clone(script);
    host.set("monotonicMs", Function::new(ctx.clone(), move || own.monotonic_ms())?)?;
    let own = Rc::clone(script);
    host.set("remainingMs", Function::new(ctx.clone(), move || own.remaining_ms())?)
}

fn add_package<'js>(host: &Object<'js>, ctx: &Ctx<'js>, script: &Rc<Script>) -> Result<()> {
    let own = Rc::clone(script);
    host.set("isFile", Function::new(ctx.clone(), move |path: String| own.package().file(&path).is_some())?)?;
    let own = Rc::clone(script);
    host.set("isFolder", Function::new(ctx.clone(), move |path: String| own.package().is_folder(&path))?)?;
    let own = Rc::clone(script);
    host.set(
        "source",
        Function::new(ctx.clone(), move |path: String| {
            own.package().file(&path).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        })?,
    )?;
    let own = Rc::clone(script);
    host.set(
        "bytes",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, path: String| {
            TypedArray::<u8>::new_copy(ctx, own.package().file(&path).unwrap_or_default())
        })?,
    )?;
    let own = Rc::clone(script);
    host.set("list", Function::new(ctx.clone(), move |path: String| own.package().list(&path))?)?;
    let own = Rc::clone(script);
    host.set("identifiers", Function::new(ctx.clone(), move || own.package().sdk_identifiers())?)
}

fn add_text<'js>(host: &Object<'js>, ctx: &Ctx<'js>) -> Result<()> {
    host.set(
        "utf8Bytes",
        Function::new(ctx.clone(), |ctx: Ctx<'js>, text: String| TypedArray::<u8>::new_copy(ctx, text.as_bytes()))?,
    )?;
    host.set("utf8Text", Function::new(ctx.clone(), |bytes: Octets| String::from_utf8_lossy(&bytes.0).into_owned())?)?;
    host.set("hexText", Function::new(ctx.clone(), |bytes: Octets| hex::encode(&bytes.0))?)?;
    host.set("base64Text", Function::new(ctx.clone(), |bytes: Octets| BASE64.encode(&bytes.0))?)?;
    host.set(
        "base64Bytes",
        Function::new(ctx.clone(), |ctx: Ctx<'js>, text: String| TypedArray::<u8>::new_copy(ctx, base64_bytes(&text)))?,
    )
}

/// Node skips what is not base64, takes the URL alphabet as well, and stops at padding.
fn base64_bytes(text: &str) -> Vec<u8> {
    let kept: Vec<u8> = text
        .bytes()
        .take_while(|byte| *byte != b'=')
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        })
        .filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        .collect();
    let whole = if kept.len() % 4 == 1 { kept.len() - 1 } else { kept.len() };
    BASE64.decode(kept.get(..whole).unwrap_or_default()).unwrap_or_default()
}

fn add_crypto<'js>(host: &Object<'js>, ctx: &Ctx<'js>) -> Result<()> {
    host.set(
        "hash",
        Function::new(ctx.clone(), |ctx: Ctx<'js>, name: String, bytes: Octets| {
            let algorithm = match name.as_str() {
                "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
                "sha384" => &digest::SHA384,
                "sha512" => &digest::SHA512,
                _ => &digest::SHA256,
            };
            TypedArray::<u8>::new_copy(ctx, digest::digest(algorithm, &bytes.0))
        })?,
    )?;
    host.set(
        "hmac",
        Function::new(ctx.clone(), |ctx: Ctx<'js>, name: String, key: Octets, bytes: Octets| {
            let algorithm = match name.as_str() {
                "sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                "sha384" => hmac::HMAC_SHA384,
                "sha512" => hmac::HMAC_SHA512,
                _ => hmac::HMAC_SHA256,
            };
            TypedArray::<u8>::new_copy(ctx, hmac::sign(&hmac::Key::new(algorithm, &key.0), &bytes.0))
        })?,
    )?;
    host.set(
        "random",
        Function::new(ctx.clone(), |ctx: Ctx<'js>, size: usize| {
            let mut bytes = vec![0; size.min(RANDOM_BYTES_MAX)];
            if size > RANDOM_BYTES_MAX || rand::fill(&mut bytes).is_err() {
                return Err(Exception::throw_range(&ctx, "at most 65536 random bytes at once"));
            }
            TypedArray::<u8>::new_copy(ctx, bytes)
        })?,
    )
}

/// A function of the given parameters; the source is a function's body, as Node wraps a CommonJS module.
fn compile<'js>(ctx: Ctx<'js>, name: String, parameters: String, source: String) -> Result<Function<'js>> {
    let mut options = rquickjs::context::EvalOptions::default();
    options.strict = false;
    options.filename = Some(name);
    ctx.eval_with_options(format!("(function ({parameters}) {{{source}\n}})"), options)
}

fn promise_state<'js>(value: Value<'js>) -> &'static str {
    match value.into_promise().as_ref().map(Promise::state) {
        Some(PromiseState::Resolved) => "<resolved>",
        Some(PromiseState::Rejected) => "<rejected>",
        _ => "<pending>",
    }
}
