# remora::ei: the encode and decode half of Erlang's C interface (erl_interface), a static library that comes with OTP
# but with no CMake package of its own. Used by our build, and installed for those who link libremora.a.
if(NOT TARGET remora::ei)
  find_path(EI_INCLUDE_DIR ei.h PATHS /usr/lib/erlang/usr/include /usr/local/lib/erlang/usr/include)
  find_library(EI_LIBRARY ei PATHS /usr/lib/erlang/usr/lib /usr/local/lib/erlang/usr/lib)
  if(EI_INCLUDE_DIR AND EI_LIBRARY)
    add_library(remora::ei STATIC IMPORTED)
    set_target_properties(remora::ei PROPERTIES
      IMPORTED_LOCATION "${EI_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${EI_INCLUDE_DIR}")
  endif()
endif()
