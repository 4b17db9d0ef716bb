#include "discovery/endpoints.hpp"

#include "base/utf8.hpp"
#include "discovery/address.hpp"
#include "discovery/node_name.hpp"

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace remora::discovery {

namespace {

namespace json = boost::json;

constexpr std::size_t depth_max = 32;    // Endpoints are seven deep
constexpr std::size_t message_max = 200; // characters of the server's own words

std::string encoded(std::string_view text) {
  std::string out;
  for (char const c : text) {
    bool const plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

json::value const* member(json::value const& of, std::string_view name) {
  auto const* const object = of.if_object();
  return object != nullptr ? object->if_contains(name) : nullptr;
}

std::string_view text_of(json::value const* v) {
  auto const* const text = v != nullptr ? v->if_string() : nullptr;
  return text != nullptr ? std::string_view(text->data(), text->size()) : std::string_view();
}

// An array that may be absent or null, which is how Go writes one without elements.
struct elements {
  json::array const* list = nullptr;
  bool wrong = false;
};
elements elements_of(json::value const& of, std::string_view name) {
  auto const* const v = member(of, name);
  if (v == nullptr || v->is_null()) return {};
  auto const* const list = v->if_array();
  return {list, list == nullptr};
}

class reader {
public:
  reader(kubernetes const& of, std::string_view basename, std::size_t nodes_max)
      : of_(of), basename_(basename), nodes_max_(nodes_max) {}

  endpoints read(json::value const& document) {
    auto const kind = text_of(member(document, "kind"));
    if (kind == "Endpoints")
      one(document);
    else if (kind == "EndpointsList")
      list(document);
    else
      wrong(cause::bad_answer, "the API server's document is neither Endpoints nor EndpointsList");
    return std::move(out_);
  }

private:
  void wrong(cause why, std::string text) {
    if (!out_.trouble) out_.trouble = failed{why, std::move(text)};
  }

  void list(json::value const& document) {
    auto const items = elements_of(document, "items");
    if (items.wrong) return wrong(cause::bad_answer, "`items` of the API server's list is no array");
    if (items.list != nullptr)
      for (auto const& item : *items.list) one(item);
    auto const* const meta = member(document, "metadata");
    if (meta != nullptr && !text_of(member(*meta, "continue")).empty())
      wrong(cause::bad_answer, "the API server sent only a part of its list");
  }

  void one(json::value const& item) {
    auto const* const meta = member(item, "metadata");
    auto const service = meta != nullptr ? text_of(member(*meta, "name")) : std::string_view();
    auto const subsets = elements_of(item, "subsets");
    if (subsets.wrong) return wrong(cause::bad_answer, "`subsets` of an Endpoints is no array");
    if (subsets.list == nullptr) return;
    for (auto const& subset : *subsets.list) {
      auto const addresses = elements_of(subset, "addresses");
      if (addresses.wrong) wrong(cause::bad_answer, "`addresses` of a subset is no array");
      if (addresses.list == nullptr) continue;
      for (auto const& a : *addresses.list) address(a, service);
    }
  }

  void address(json::value const& a, std::string_view service) {
    if (out_.nodes.size() >= nodes_max_)
      return wrong(cause::too_large, fmt::format("the API server lists more than {} addresses", nodes_max_));
    auto const host = host_of_address(a, service);
    if (!host) return;
    if (auto name = make_node_name(basename_, *host))
      out_.nodes.push_back(std::move(*name));
    else
      wrong(cause::bad_answer, "an address of the API server's document makes no node name");
  }

  std::optional<std::string> host_of_address(json::value const& a, std::string_view service) {
    if (of_.how == addressing::hostname) {
      auto const hostname = text_of(member(a, "hostname"));
      if (hostname.empty() || service.empty()) {
        wrong(cause::bad_answer,
              "an address has no hostname: addressing `hostname` needs a StatefulSet with a "
              "headless service, others need `ip` or `pod`");
        return std::nullopt;
      }
      return fmt::format("{}.{}.{}.svc.{}", hostname, service, of_.ns, of_.domain);
    }
    auto const ip = read_address(text_of(member(a, "ip")));
    if (!ip) {
      wrong(cause::bad_answer, "an address of the API server's document has no readable `ip`");
      return std::nullopt;
    }
    auto text = write(*ip);
    if (of_.how == addressing::ip) return text;
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c == '.' || c == ':'; }, '-');
    return fmt::format("{}.{}.pod.{}", text, of_.ns, of_.domain);
  }

  kubernetes const& of_;
  std::string_view basename_;
  std::size_t nodes_max_;
  endpoints out_;
};

json::value parsed(std::string_view body, json::monotonic_resource& memory, json::error_code& error) {
  json::parse_options how;
  how.max_depth = depth_max;
  return json::parse(json::string_view(body.data(), body.size()), error, &memory, how);
}

// A Status says in words what it does not like, and names neither token nor key.
std::string message_of(std::string_view body) {
  json::monotonic_resource memory;
  json::error_code error;
  auto const status = parsed(body, memory, error);
  if (error) return {};
  auto const message = text_of(member(status, "message")).substr(0, message_max);
  if (message.empty()) return {};
  auto out = ": " + base::to_valid_utf8(message); // it may be cut within a character
  std::replace_if(
      out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return out;
}

failed refusal(document const& from) {
  auto const said = [&](cause why, std::string_view what) {
    return failed{why,
                  fmt::format("the API server answered {}{}{}", from.status, message_of(from.body), what)};
  };
  switch (from.status) {
  case 401: return said(cause::unauthorized, "; is the token file that of this cluster, and not expired?");
  case 403: return said(cause::forbidden, "; the service account's role needs `get` and `list` of endpoints");
  case 404: return said(cause::no_such_name, "; are namespace and service written right?");
  case 429: return said(cause::server_error, "");
  default: return said(from.status >= 500 ? cause::server_error : cause::bad_answer, "");
  }
}

} // namespace

std::string endpoints_target(kubernetes const& of) {
  auto out = fmt::format("/api/v1/namespaces/{}/endpoints", encoded(of.ns));
  if (of.selector.empty()) return of.service.empty() ? out : out + "/" + encoded(of.service);
  out += "?labelSelector=" + encoded(of.selector);
  if (!of.service.empty()) out += "&fieldSelector=" + encoded("metadata.name=" + of.service);
  return out;
}

endpoints read_endpoints(kubernetes const& of, std::string_view basename, document const& said,
                         std::size_t nodes_max) {
  if (said.status != 200) return {{}, refusal(said)};
  json::monotonic_resource memory;
  json::error_code error;
  auto const value = parsed(said.body, memory, error);
  if (error)
    return {{},
            failed{cause::bad_answer,
                   fmt::format("the API server's document of {} bytes is no JSON or not all of it",
                               said.body.size())}};
  return reader(of, basename, nodes_max).read(value);
}

} // namespace remora::discovery
