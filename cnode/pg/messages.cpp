#include "pg/messages.hpp"

#include <array>
#include <utility>

namespace remora::pg {

namespace {

// The pids of one message are mostly of one node: its atom is made once.
class pid_reader {
public:
  std::optional<etf::pid> read(etf::view v) {
    auto const p = v.borrow_pid();
    if (!p) return std::nullopt;
    if (node_.text() != p->node) node_ = etf::atom(p->node);
    return etf::pid{.node = node_, .id = p->id, .serial = p->serial, .creation = p->creation};
  }
  bool read_list(etf::view v, std::vector<etf::pid>& out) {
    auto list = v.list();
    if (!list) return false;
    while (auto const item = list->next()) {
      auto p = read(*item);
      if (!p) return false;
      out.push_back(std::move(*p));
    }
    return list->tail().what() == etf::kind::nil;
  }
  bool read_one_or_list(etf::view v, std::vector<etf::pid>& out) {
    if (auto p = read(v)) return out.push_back(std::move(*p)), true;
    return read_list(v, out);
  }

private:
  etf::atom node_;
};

std::optional<said> read_sync(pid_reader& pids, etf::pid scope, etf::view groups) {
  sync out{.scope = std::move(scope), .groups = {}};
  auto list = groups.list();
  if (!list) return std::nullopt;
  out.groups.reserve(list->left());
  while (auto const item = list->next()) {
    auto const pair = item->tuple<2>();
    if (!pair) return std::nullopt;
    auto& entry = out.groups.emplace_back(listing{.group = (*pair)[0], .pids = {}});
    if (!pids.read_list((*pair)[1], entry.pids)) return std::nullopt;
  }
  if (list->tail().what() != etf::kind::nil) return std::nullopt;
  return out;
}

std::optional<said> read_leave(pid_reader& pids, etf::pid scope, etf::view who, etf::view groups) {
  leave out{.scope = std::move(scope), .pids = {}, .groups = {}};
  auto list = groups.list();
  if (!list || !pids.read_one_or_list(who, out.pids)) return std::nullopt;
  while (auto const group = list->next()) out.groups.push_back(*group);
  if (list->tail().what() != etf::kind::nil) return std::nullopt;
  return out;
}

} // namespace

std::optional<said> read(etf::view term) {
  pid_reader pids;
  auto const arity = term.arity();
  if (!arity || *arity < 2 || *arity > 4) return std::nullopt;
  std::array<etf::view, 4> all;
  std::span<etf::view> const parts(all.data(), *arity);
  term.tuple_elements(parts);
  if (*arity == 2 && parts[0].is_atom("$gen_cast")) {
    auto const cast = parts[1].tuple<3>();
    if (!cast || !(*cast)[0].is_atom("sync")) return std::nullopt;
    auto scope = pids.read((*cast)[1]);
    if (!scope) return std::nullopt;
    return read_sync(pids, std::move(*scope), (*cast)[2]);
  }
  auto scope = pids.read(parts[1]);
  if (!scope) return std::nullopt;
  // The form with a version is of OTP 27, which takes it but does not send it.
  if (parts[0].is_atom("discover") && *arity <= 3) return discover{std::move(*scope)};
  if (*arity != 4) return std::nullopt;
  if (parts[0].is_atom("join")) {
    join out{.scope = std::move(*scope), .group = parts[2], .pids = {}};
    if (!pids.read_one_or_list(parts[3], out.pids)) return std::nullopt;
    return out;
  }
  if (parts[0].is_atom("leave")) return read_leave(pids, std::move(*scope), parts[2], parts[3]);
  return std::nullopt;
}

std::optional<std::vector<etf::pid>> read_pids(etf::view pid_or_pids) {
  std::vector<etf::pid> out;
  if (!pid_reader().read_one_or_list(pid_or_pids, out)) return std::nullopt;
  return out;
}

void put_pids(etf::builder& b, std::span<etf::pid const> pids) {
  b.list(pids.size());
  for (auto const& p : pids) b.pid(p);
  b.nil();
}

namespace {
void put_one_or_list(etf::builder& b, std::span<etf::pid const> pids, bool list) {
  if (!list && pids.size() == 1)
    b.pid(pids[0]);
  else
    put_pids(b, pids);
}
} // namespace

etf::term write_discover(etf::pid const& scope) { return etf::make(etf::tup(etf::am("discover"), scope)); }

etf::term write_join(etf::pid const& scope, etf::view group, std::span<etf::pid const> pids, bool list) {
  etf::builder b;
  b.tuple(4).atom("join").pid(scope).copy(group);
  put_one_or_list(b, pids, list);
  return b.take();
}

etf::term write_leave(etf::pid const& scope, std::span<etf::pid const> pids, bool list,
                      std::span<etf::view const> groups) {
  etf::builder b;
  b.tuple(4).atom("leave").pid(scope);
  put_one_or_list(b, pids, list);
  b.list(groups.size());
  for (auto const group : groups) b.copy(group);
  b.nil();
  return b.take();
}

} // namespace remora::pg
