# cmake --install: headers, static libraries, programs, and what find_package(dcasenet) and pkg-config need.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(headers ${CMAKE_INSTALL_INCLUDEDIR}/dcasenet-engine)  # <dcasenet/dcasenet.hpp>, <kernels/...>: one folder on the path
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/dcasenet)
set(libraries dcase_kernels dcase_engine dcase_layers dcasenet)
set(cuda_libraries "")
set(cuda_requirement "")
if(DCASE_HAS_CUDA)
  list(APPEND libraries dcase_cuda)
  set_target_properties(dcase_cuda PROPERTIES EXPORT_NAME cuda)
  set(cuda_requirement "find_dependency(CUDAToolkit)")
  set(cuda_libraries "-ldcase_cuda -L${CUDAToolkit_LIBRARY_DIR} -lcudart_static -ldl -lrt -lpthread")
endif()

# Headers that name CUDA's types go with builds that have it.
set(without)
if(NOT DCASE_HAS_CUDA)
  set(without PATTERN "engine/cuda" EXCLUDE PATTERN "launch.hpp" EXCLUDE PATTERN "cuda_error.hpp" EXCLUDE)
endif()
foreach(room kernels engine layers dcasenet)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${room} DESTINATION ${headers}
    FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h" PATTERN "*_body.hpp" EXCLUDE ${without})
endforeach()
install(FILES ${PROJECT_BINARY_DIR}/generated/dcasenet/version.hpp DESTINATION ${headers}/dcasenet)

foreach(library ${libraries})
  target_include_directories(${library} INTERFACE $<INSTALL_INTERFACE:${headers}>)
  target_compile_features(${library} INTERFACE cxx_std_20)
endforeach()
set_target_properties(dcase_kernels PROPERTIES EXPORT_NAME kernels)
set_target_properties(dcase_engine PROPERTIES EXPORT_NAME engine)
set_target_properties(dcase_layers PROPERTIES EXPORT_NAME layers)
install(TARGETS ${libraries} EXPORT dcasenet ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT dcasenet NAMESPACE dcasenet:: FILE dcasenetTargets.cmake DESTINATION ${package})

install(TARGETS dcasenet_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(TARGET dcase_bench)
  install(TARGETS dcase_bench RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/dcasenetConfig.cmake.in
  ${PROJECT_BINARY_DIR}/generated/dcasenetConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/generated/dcasenetConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/generated/dcasenetConfig.cmake
  ${PROJECT_BINARY_DIR}/generated/dcasenetConfigVersion.cmake ${CMAKE_CURRENT_LIST_DIR}/FindOneDNN.cmake
  DESTINATION ${package})

# ${pcfiledir} keeps the file right when the whole prefix is moved.
file(RELATIVE_PATH to_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" to_prefix ${to_prefix})
configure_file(${CMAKE_CURRENT_LIST_DIR}/dcasenet.pc.in ${PROJECT_BINARY_DIR}/generated/dcasenet.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/generated/dcasenet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
