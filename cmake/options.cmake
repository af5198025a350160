set(DCASE_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=: address,undefined or thread")
option(DCASE_TESTS "Build the tests" ON)
option(DCASE_WERROR "Treat warnings as errors" ON)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

# Flags of our own targets only: nothing here reaches a consumer.
# -Wno-restrict: g++ 12 reports std::string concatenation falsely (GCC bug 105651).
# Nobody reads errno after a mathematical function, or the floating-point exception flags: without these two, g++ leaves
# loops with a square root or a selection of floats unvectorised. Results are the same.
add_library(dcase_flags INTERFACE)
target_compile_options(dcase_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-math-errno -fno-trapping-math>)
target_compile_options(dcase_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
    -Woverloaded-virtual -Wno-missing-field-initializers $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${DCASE_WERROR}>>:-Werror>)
if(DCASE_SANITIZE)
  target_compile_options(dcase_flags INTERFACE -fsanitize=${DCASE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  # With checks compiled in, g++ 12 takes the standard library's own <functional> and <optional> for uninitialised.
  target_compile_options(dcase_flags INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized>)
  target_link_options(dcase_flags INTERFACE -fsanitize=${DCASE_SANITIZE})
endif()

# dcase_room(NAME PUBLIC libs... PRIVATE libs...): a static library of every source in the current folder and below.
# A folder is a subject; adding one needs no list to be edited. PUBLIC is what the headers need: other rooms, as a rule.
# Left out: programs' main.cpp, and engine/cuda and bench/cuda, which only builds with CUDA have.
function(dcase_room name)
  cmake_parse_arguments(room "" "" "PUBLIC;PRIVATE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(NOT DCASE_HAS_CUDA)
    list(FILTER sources EXCLUDE REGEX "/(engine|bench)/cuda/")
  endif()
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_link_libraries(${name} PUBLIC ${room_PUBLIC} PRIVATE ${room_PRIVATE} $<BUILD_INTERFACE:dcase_flags>)
endfunction()
