#include "cli/log.hpp"

#include "base/utf8.hpp"

#include <boost/json/serialize.hpp>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <ctime>
#include <memory>

namespace remora::cli {

namespace {

bool json = false;
io::level threshold = io::level::info;
bool silent = false;

spdlog::level::level_enum to_spdlog(io::level l) {
  switch (l) {
  case io::level::debug: return spdlog::level::debug;
  case io::level::info:
  case io::level::notice: return spdlog::level::info;
  case io::level::warning: return spdlog::level::warn;
  case io::level::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::string_view name_of(io::level l) {
  switch (l) {
  case io::level::debug: return "debug";
  case io::level::info: return "info";
  case io::level::notice: return "notice";
  case io::level::warning: return "warning";
  case io::level::error: return "error";
  }
  return "info";
}

std::string as_json(io::event const& e) {
  boost::json::object line;
  timespec now{};
  std::timespec_get(&now, TIME_UTC);
  line["time"] =
      fmt::format("{:.3f}", static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9);
  line["level"] = name_of(e.level);
  line["event"] = e.name;
  line["text"] = base::to_valid_utf8(e.text);
  for (auto const& [key, value] : e.fields) line[key] = base::to_valid_utf8(value);
  return boost::json::serialize(line);
}

} // namespace

void open_log(log_options const& options) {
  json = options.format == "json";
  silent = options.level == "none";
  for (auto const l :
       {io::level::debug, io::level::info, io::level::notice, io::level::warning, io::level::error})
    if (name_of(l) == options.level) threshold = l;
  auto logger = spdlog::stderr_color_st("remora");
  logger->set_level(spdlog::level::trace);
  logger->set_pattern(json ? "%v" : "%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

void log(io::event const& e) {
  if (silent || e.level < threshold) return;
  spdlog::log(to_spdlog(e.level), "{}", json ? as_json(e) : e.text);
}

void complain(std::string const& what) {
  if (json)
    std::fprintf(stderr, "%s\n", as_json({io::level::error, "failed", what, {}}).c_str());
  else
    std::fprintf(stderr, "remora: %s\n", base::to_valid_utf8(what).c_str());
}

} // namespace remora::cli
