# cmake -D BUILD=... -D SOURCE=... -D WORK=... -P check.cmake: installs the build below WORK, moves it (a package must
# not know where it was installed), and builds and runs the consumer by find_package and by pkg-config.
function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/installed)
file(RENAME ${WORK}/installed ${WORK}/moved)
set(prefix ${WORK}/moved)

run(${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}/build -G Ninja -D CMAKE_PREFIX_PATH=${prefix}
  -D "CMAKE_CXX_FLAGS=-Wall -Wextra -Wpedantic -Werror" -D CMAKE_CXX_COMPILER=${COMPILER}
  -D CMAKE_FIND_PACKAGE_NO_PACKAGE_REGISTRY=ON)
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/consumer ${WORK}/model.safetensors)

file(GLOB_RECURSE pc ${prefix}/dcasenet.pc)
cmake_path(GET pc PARENT_PATH pc)
set(ENV{PKG_CONFIG_PATH} ${pc})
execute_process(COMMAND pkg-config --cflags --libs dcasenet OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
run(${COMPILER} -std=c++20 ${SOURCE}/main.cpp -o ${WORK}/by_pkg_config ${flags})
run(${WORK}/by_pkg_config ${WORK}/model.safetensors)

run(${prefix}/bin/dcasenet --version)
file(REMOVE_RECURSE ${WORK})
