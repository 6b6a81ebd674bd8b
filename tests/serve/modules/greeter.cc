/*
 * greeter.cc: a module in C++20.
 */
#include <string>

#include "syncless.h"

namespace
{
struct greeter {
    const char *greeting;
};

const sl_option options[] = {
    SL_OPTION("greeting", SL_STRING, greeter, greeting, .default_value = "hello", .help = "The text."),
    {.name = nullptr},
};

int greet(void *self, sl_request *req)
{
    std::string text = static_cast<greeter *>(self)->greeting;

    text += '\n';
    return sl_reply(req, 200, "text/plain", text.data(), text.size());
}
} // namespace

extern "C" const sl_module sl_module{
    .abi = SL_ABI,
    .name = "greeter",
    .size = sizeof(greeter),
    .options = options,
    .handle = greet,
};
