// VITRAIL_API marks what the shared library exports; everything else stays inside.
#pragma once

#if defined(_WIN32)
#define VITRAIL_API
#else
#define VITRAIL_API __attribute__((visibility("default")))
#endif
