find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
target_compile_options(dcase_flags BEFORE INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${OpenMP_CXX_FLAGS}>)
target_link_libraries(dcase_flags INTERFACE OpenMP::OpenMP_CXX)
find_package(nlohmann_json 3.11 REQUIRED)  # Debian: nlohmann-json3-dev
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
find_package(OneDNN 2.6 REQUIRED)          # Debian: libdnnl-dev, 2.6 or 3.x
find_package(PkgConfig REQUIRED)
pkg_check_modules(SNDFILE REQUIRED IMPORTED_TARGET sndfile)  # Debian: libsndfile1-dev
pkg_check_modules(LIBZIP REQUIRED IMPORTED_TARGET libzip)    # Debian: libzip-dev (its own CMake files name absent programs)
find_package(CLI11 REQUIRED)               # Debian: libcli11-dev
find_package(fmt REQUIRED)                 # Debian: libfmt-dev
if(DCASE_TESTS)
  find_package(Catch2 REQUIRED)            # Debian: catch2 (2.13), v3 works as well
endif()
