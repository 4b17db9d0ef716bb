//// The settings: their bounds, and that each is what it was set to.

import remora/settings

pub fn bounds_of_the_message_size_test() {
  let assert Error(settings.OutOfRange(0, 1, highest)) =
    settings.set_max_message_size(0)
  let assert Ok(Nil) = settings.set_max_message_size(highest)
  let assert Error(settings.OutOfRange(_, 1, _)) =
    settings.set_max_message_size(highest + 1)
  let assert True = settings.get_max_message_size() == highest
  let assert Ok(Nil) = settings.set_max_message_size(10_485_760)
}

pub fn bounds_of_the_atom_budget_test() {
  let before = settings.get_max_new_atoms()
  let assert Error(settings.OutOfRange(-1, 0, highest)) =
    settings.set_max_new_atoms(-1)
  let assert Error(_) = settings.set_max_new_atoms(highest + 1)
  let assert True = settings.get_max_new_atoms() == before
}
