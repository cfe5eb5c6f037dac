pub enum Packet {}
