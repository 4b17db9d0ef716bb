# find_package(remora) gives remora::remora: #include <remora.hpp>, C++20, and all that the static library needs.
include(CMakeFindDependencyMacro)
find_dependency(Boost 1.81)
find_dependency(fmt)
find_dependency(OpenSSL)
find_dependency(Threads)
include("${CMAKE_CURRENT_LIST_DIR}/ei.cmake")
if(NOT TARGET remora::ei)
  set(remora_FOUND FALSE)
  set(remora_NOT_FOUND_MESSAGE
    "remora needs libei.a and ei.h of Erlang/OTP (Debian: erlang-dev); set EI_LIBRARY and EI_INCLUDE_DIR to where they are")
  return()
endif()
include("${CMAKE_CURRENT_LIST_DIR}/remora-targets.cmake")
