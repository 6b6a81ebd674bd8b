/* bind.h: the value of the key bind: a listen address and its options. */
#ifndef SETTINGS_BIND_H
#define SETTINGS_BIND_H

#include "base/address.h"

struct bind_address {
    const char *text; /* as written, without options; borrowed */
    union address sa;
    socklen_t size; /* of sa, for bind(2) */
    bool proxied;   /* connections begin with a PROXY header */
};

/* Read the address, see address_parse. Returns NULL, or what is wrong with the text. */
const char *bind_address_parse(struct bind_address *bind, const char *text);

/* Read a word after the address: proxy-protocol or protocol=http. Returns as bind_address_parse. */
const char *bind_address_option(struct bind_address *bind, const char *word);

#endif
