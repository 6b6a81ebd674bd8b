/*
 * answer.c: what DNS has answered about a name or an address.
 *
 * Everything lies in one arena, and is freed with it. The lists keep the order of the reply.
 */
#include "libc/dns/answer.h"

#include <string.h>
#include <sys/socket.h>

void dns_answer_init(struct dns_answer *answer)
{
    *answer = (struct dns_answer){.name = ""};
    arena_init(&answer->arena);
    answer->last_address = &answer->addresses;
    answer->last_alias = &answer->aliases;
}

void dns_answer_release(struct dns_answer *answer)
{
    arena_release(&answer->arena);
}

void dns_answer_set_name(struct dns_answer *answer, const char *name)
{
    answer->name = arena_strndup(&answer->arena, name, strlen(name));
}

void dns_answer_add_address(struct dns_answer *answer, int family, const void *bytes)
{
    struct dns_address *address = arena_alloc(&answer->arena, sizeof(*address));

    address->next = NULL;
    address->family = family;
    memcpy(address->bytes, bytes, family == AF_INET ? 4 : 16);
    *answer->last_address = address;
    answer->last_address = &address->next;
    answer->address_count++;
}

void dns_answer_add_alias(struct dns_answer *answer, const char *name)
{
    struct dns_alias *alias = arena_alloc(&answer->arena, sizeof(*alias));

    *alias = (struct dns_alias){.name = arena_strndup(&answer->arena, name, strlen(name))};
    *answer->last_alias = alias;
    answer->last_alias = &alias->next;
    answer->alias_count++;
}

void dns_answer_restart_names(struct dns_answer *answer, const char *name)
{
    answer->aliases = NULL;
    answer->last_alias = &answer->aliases;
    answer->alias_count = 0;
    dns_answer_set_name(answer, name);
}
