// How a kernel file reaches its per-target code; shared with the image layer.
#pragma once

#include "core/dispatch.h"
