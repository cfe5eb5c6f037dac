pub struct Decoder {}
pub enum DecodeError {}
pub fn encode() {}
