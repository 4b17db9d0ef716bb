# remora::cares: c-ares, which Debian ships without a CMake package. Used by our build, and installed for those who link
# libremora.a.
if(NOT TARGET remora::cares)
  find_path(CARES_INCLUDE_DIR ares.h)
  find_library(CARES_LIBRARY cares)
  if(CARES_INCLUDE_DIR AND CARES_LIBRARY)
    add_library(remora::cares UNKNOWN IMPORTED)
    set_target_properties(remora::cares PROPERTIES
      IMPORTED_LOCATION "${CARES_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${CARES_INCLUDE_DIR}")
  endif()
endif()
