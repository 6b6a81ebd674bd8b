/* bind.c: the value of the key bind: a listen address and its options. */
#include "settings/bind.h"

#include <string.h>

const char *bind_address_parse(struct bind_address *bind, const char *text)
{
    *bind = (struct bind_address){.text = text};
    return address_parse(&bind->sa, &bind->size, text);
}

const char *bind_address_option(struct bind_address *bind, const char *word)
{
    if (!strcmp(word, "proxy-protocol"))
        bind->proxied = true;
    else if (strncmp(word, "protocol=", 9))
        return "expected proxy-protocol or protocol=http after the address";
    else if (strcmp(word + 9, "http"))
        return "only protocol=http is supported";
    return NULL;
}
