//// Addresses of a host name, and the nodes that may run there.
////
//// The system's name servers are asked for A and AAAA records by Erlang's own
//// resolver; no companion is needed. A name that has records of one kind only
//// is no error.
////
//// ```gleam
//// import remora/dns
////
//// // The name servers of a network that has none refuse it, or do not answer.
//// let assert Error(_) = dns.lookup("nobody.invalid", within: 200)
//// ```

import gleam/int
import gleam/list
import gleam/result
import gleam/string

/// Why there are no addresses.
pub type LookupError {
  /// The name server's answer could not be understood.
  FormatError
  /// The host's name cannot be asked for: it is empty, or a part of it has
  /// more than 63 bytes; or the name server did not understand the question.
  QueryFormatError
  /// The name server has a problem of its own. Ask again later.
  ServerFailure
  /// There is no such name, or it has no addresses.
  NoSuchDomain
  /// No name server answered in time.
  Timeout
  /// The name server does not do this.
  NotImplemented
  /// The name server does not want to.
  Refused
  /// The name server speaks another version of the protocol.
  BadVersion
  /// The network failed: the system's word for it.
  PosixError(String)
  /// Something that Erlang's resolver has no word for.
  Unknown
}

/// An address, in its four or eight numbers.
pub type IpAddress {
  IpV4(Int, Int, Int, Int)
  IpV6(Int, Int, Int, Int, Int, Int, Int, Int)
}

/// The addresses of a host, those of version 4 first. At most `milliseconds`
/// are spent.
///
/// ```gleam
/// import remora/dns
///
/// let assert Error(dns.QueryFormatError) = dns.lookup("", within: 200)
/// ```
@external(erlang, "remora_lookup", "dns_lookup")
pub fn lookup(
  hostname: String,
  within milliseconds: Int,
) -> Result(List(IpAddress), LookupError)

/// The nodes `basename@address` for each address of a host. Whether they are
/// there is not asked.
///
/// ```gleam
/// import remora/dns
///
/// let assert Error(dns.QueryFormatError) =
///   dns.discover_nodes("app", "", within: 200)
/// ```
pub fn discover_nodes(
  basename: String,
  hostname: String,
  within milliseconds: Int,
) -> Result(List(String), LookupError) {
  use addresses <- result.map(lookup(hostname, milliseconds))
  list.map(addresses, fn(address) {
    basename <> "@" <> format_ip_address(address)
  })
}

/// An address as people write it, and as it stands in node names.
///
/// ```gleam
/// import remora/dns
///
/// let assert "10.0.0.7" = dns.format_ip_address(dns.IpV4(10, 0, 0, 7))
/// let assert "fd00::1" =
///   dns.format_ip_address(dns.IpV6(64_768, 0, 0, 0, 0, 0, 0, 1))
/// ```
pub fn format_ip_address(address: IpAddress) -> String {
  case address {
    IpV4(a, b, c, d) ->
      [a, b, c, d]
      |> list.map(int.to_string)
      |> string.join(".")
    IpV6(a, b, c, d, e, f, g, h) -> format_ip_v6([a, b, c, d, e, f, g, h])
  }
}

/// A sentence for people: what was found and what to do.
///
/// ```gleam
/// import remora/dns
///
/// let assert "there is no such name, or it has no addresses" =
///   dns.describe_lookup_error(dns.NoSuchDomain)
/// ```
pub fn describe_lookup_error(error: LookupError) -> String {
  case error {
    FormatError -> "the name server's answer could not be understood"
    QueryFormatError -> "the host's name cannot be asked for; see its spelling"
    ServerFailure -> "the name server has a problem; ask again later"
    NoSuchDomain -> "there is no such name, or it has no addresses"
    Timeout -> "no name server answered in time"
    NotImplemented -> "the name server does not do this"
    Refused -> "the name server refused the question"
    BadVersion -> "the name server speaks another version of the protocol"
    PosixError(reason) -> "the network failed: " <> reason
    Unknown -> "the lookup failed, and Erlang's resolver does not say why"
  }
}

@external(erlang, "remora_lookup", "format_ip_v6")
fn format_ip_v6(parts: List(Int)) -> String
