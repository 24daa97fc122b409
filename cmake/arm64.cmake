# Toolchain of Debian's cross compiler for 64-bit Arm; tools/test_arm64 uses it. VITRAIL_ARM64_ROOT
# names a folder into which Debian's arm64 packages of the libraries were unpacked.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES VITRAIL_ARM64_ROOT)

set(CMAKE_FIND_ROOT_PATH ${VITRAIL_ARM64_ROOT} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} ${VITRAIL_ARM64_ROOT}/usr/lib/aarch64-linux-gnu/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${VITRAIL_ARM64_ROOT})
set(CMAKE_EXE_LINKER_FLAGS_INIT
  "-L${VITRAIL_ARM64_ROOT}/usr/lib/aarch64-linux-gnu -Wl,-rpath-link,${VITRAIL_ARM64_ROOT}/usr/lib/aarch64-linux-gnu:${VITRAIL_ARM64_ROOT}/lib/aarch64-linux-gnu")
