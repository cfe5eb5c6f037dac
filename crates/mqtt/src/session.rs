pub struct Session {}
