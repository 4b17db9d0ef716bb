// `remora run`: the node itself. Also what test programs and examples use to take the same command line.
#pragma once

#include "cli/settings.hpp"

#include <CLI/App.hpp>

#include <functional>
#include <optional>
#include <string>

namespace remora::cli {

// Adds the options of `run` to an app or subcommand; `config` receives --config.
void add_run_options(CLI::App& app, settings& s, std::string& config);

// Parses, and where --config names a file reads it under what the command line says. Answers the exit code
// when the program is to end here (help, or a mistake).
std::optional<int> parse_command_line(CLI::App& app, int argc, char const* const* argv, settings& s,
                                      std::string& config);

// Starts, prints the ready line, serves; answers the exit code. `prepare` may add functions and processes.
int run(settings const& s, std::function<void(runtime&)> const& prepare = {});

} // namespace remora::cli
