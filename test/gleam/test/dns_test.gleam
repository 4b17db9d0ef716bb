//// Lookups, answered by a name server of our own.

import gleam/list
import gleam/string
import remora/dns.{IpV4, IpV6}
import tests.{A, Aaaa}

fn addresses(all: List(a)) -> tests.DnsAnswer {
  tests.believe(all)
}

fn code(number: Int) -> tests.DnsAnswer {
  tests.believe(number)
}

fn ask(zone: List(#(String, tests.RecordType, tests.DnsAnswer)), host: String) {
  use <- tests.with_dns(zone)
  dns.lookup(host, within: 3000)
}

pub fn both_kinds_test() {
  let zone = [
    #("app.test", A, addresses([#(10, 0, 0, 1), #(10, 0, 0, 2)])),
    #("app.test", Aaaa, addresses([#(64_768, 0, 0, 0, 0, 0, 0, 7)])),
  ]
  let assert Ok([a, b, c]) = ask(zone, "app.test")
  let assert IpV4(10, 0, 0, _) = a
  let assert IpV4(10, 0, 0, _) = b
  let assert IpV6(64_768, 0, 0, 0, 0, 0, 0, 7) = c
  let assert Ok(nodes) =
    tests.with_dns(zone, fn() {
      dns.discover_nodes("app", "app.test", within: 3000)
    })
  let assert True = list.contains(nodes, "app@10.0.0.2")
  let assert True = list.contains(nodes, "app@fd00::7")
}

pub fn one_kind_is_enough_test() {
  let assert Ok([IpV4(10, 0, 0, 1)]) =
    ask(
      [
        #("app.test", A, addresses([#(10, 0, 0, 1)])),
        #("app.test", Aaaa, code(2)),
      ],
      "app.test",
    )
  let assert Ok([IpV6(1, 2, 3, 4, 5, 6, 7, 8)]) =
    ask(
      [#("app.test", Aaaa, addresses([#(1, 2, 3, 4, 5, 6, 7, 8)]))],
      "app.test",
    )
}

pub fn each_error_of_a_name_server_test() {
  let both = fn(number) {
    [#("x.test", A, code(number)), #("x.test", Aaaa, code(number))]
  }
  // RFC 1035, 4.1.1.
  let assert Error(dns.QueryFormatError) = ask(both(1), "x.test")
  let assert Error(dns.ServerFailure) = ask(both(2), "x.test")
  let assert Error(dns.NoSuchDomain) = ask(both(3), "x.test")
  let assert Error(dns.NotImplemented) = ask(both(4), "x.test")
  let assert Error(dns.Refused) = ask(both(5), "x.test")
}

pub fn a_name_without_addresses_test() {
  let assert Error(dns.NoSuchDomain) =
    ask(
      [#("x.test", A, addresses([])), #("x.test", Aaaa, addresses([]))],
      "x.test",
    )
}

pub fn silence_test() {
  let silent = tests.believe("silent")
  let #(took, Error(dns.Timeout)) =
    tests.elapsed(fn() {
      use <- tests.with_dns([#("x.test", A, silent), #("x.test", Aaaa, silent)])
      dns.lookup("x.test", within: 300)
    })
  let assert True = took < 3000
}

pub fn what_is_no_name_test() {
  list.each(["", ".", "a..b", string.repeat("a", times: 64)], fn(host) {
    let assert Error(dns.QueryFormatError) = dns.lookup(host, within: 1000)
  })
}

pub fn addresses_as_people_write_them_test() {
  let assert "::1" = dns.format_ip_address(IpV6(0, 0, 0, 0, 0, 0, 0, 1))
  let assert "2001:db8::5:0:0:1" =
    dns.format_ip_address(IpV6(8193, 3512, 0, 0, 5, 0, 0, 1))
  let assert "255.255.255.255" =
    dns.format_ip_address(IpV4(255, 255, 255, 255))
}
