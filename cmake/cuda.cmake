set(DCASE_CUDA "AUTO" CACHE STRING "CUDA backend: AUTO (where nvcc is found), ON or OFF")
set_property(CACHE DCASE_CUDA PROPERTY STRINGS AUTO ON OFF)
if(NOT DCASE_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "DCASE_CUDA=${DCASE_CUDA}: it may be AUTO, ON or OFF.")
endif()

find_program(DCASE_NVCC nvcc HINTS ENV CUDA_PATH HINTS /usr/local/cuda PATH_SUFFIXES bin)
mark_as_advanced(DCASE_NVCC)
if(DCASE_CUDA STREQUAL "ON" AND NOT DCASE_NVCC)
  message(FATAL_ERROR "DCASE_CUDA=ON, but there is no nvcc in PATH, in CUDA_PATH or in /usr/local/cuda. "
    "Install the CUDA toolkit, or configure with -DDCASE_CUDA=OFF.")
endif()

# An nvcc that does not get along with the C++ compiler, or knows no C++20, is an error with ON and left alone with AUTO.
# Only success is remembered.
set(DCASE_HAS_CUDA OFF)
if(DCASE_NVCC AND NOT DCASE_CUDA STREQUAL "OFF")
  if(NOT DCASE_NVCC_WORKS)
    file(WRITE ${CMAKE_BINARY_DIR}/CMakeFiles/nvcc_check.cu "template <class T> concept Any = true;\n__global__ void k() {}\n")
    execute_process(
      COMMAND ${DCASE_NVCC} -std=c++20 -ccbin ${CMAKE_CXX_COMPILER} -arch=compute_80 -c nvcc_check.cu -o nvcc_check.o
      WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/CMakeFiles RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(status EQUAL 0)
      set(DCASE_NVCC_WORKS ON CACHE INTERNAL "nvcc compiles C++20 with the C++ compiler as its host")
    elseif(DCASE_CUDA STREQUAL "ON")
      message(FATAL_ERROR "DCASE_CUDA=ON, but ${DCASE_NVCC} cannot compile C++20 with ${CMAKE_CXX_COMPILER}:\n${output}")
    else()
      message(WARNING "No CUDA backend: ${DCASE_NVCC} cannot compile C++20 with ${CMAKE_CXX_COMPILER}:\n${output}")
    endif()
  endif()
  if(DCASE_NVCC_WORKS)
    set(DCASE_HAS_CUDA ON)
  endif()
endif()
if(DCASE_HAS_CUDA)
  # Compiled for sm_80 and for Hopper with all it has (90a code runs on nothing newer), and as PTX for everything else.
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90a-real 80-virtual)
  if(DCASE_SANITIZE)  # of code that runs on the CPU: device code only has to link
    set(CMAKE_CUDA_ARCHITECTURES 80-virtual)
  endif()
  # std::array in Philox needs the relaxed constexpr.
  set(DCASE_NVCC_OPTIONS --expt-relaxed-constexpr -Xptxas=-warn-spills -Xcompiler=-Wall,-Wextra,-Wno-restrict)
  set(CMAKE_CUDA_COMPILER ${DCASE_NVCC})
  set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc takes it
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  find_package(CUDAToolkit REQUIRED)
  message(STATUS "Backends: CPU, CUDA ${CUDAToolkit_VERSION}")
else()
  message(STATUS "Backends: CPU (DCASE_CUDA=${DCASE_CUDA})")
endif()
