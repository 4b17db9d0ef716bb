pub type Order {
  Lt
  Eq
  Gt
}
