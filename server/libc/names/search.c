/*
 * search.c: which names DNS is asked for, in the search for one, and what it comes to if there is none.
 *
 * The order is that of libc's res_search, with the domains and options of resolv.conf: a name with enough dots as it is
 * and then below each domain, another one below the domains first. It is not left to c-ares, which gives up where a
 * server refuses the first name; libc goes on, and networks with names of their own are set up for that. What is
 * reported in the end is of the name as it is, if that was asked for first; else that some domain has the name without
 * an address, or that some server failed. What cannot be the name of a host, libc does not ask for at all.
 */
#include "libc/names/search.h"

#include <arpa/nameser.h>
#include <stdio.h>
#include <string.h>

static enum outcome ask(struct search *s, const char *name)
{
    return s->last = s->ask(s->arg, name);
}

static enum outcome ask_below(struct search *s, const char *name, const char *domain)
{
    char full[NS_MAXDNAME];

    if (!*domain)
        return ask(s, name);
    if ((size_t)snprintf(full, sizeof(full), "%s.%s", name, domain) >= sizeof(full))
        return s->last = OUTCOME_MALFORMED;
    return ask(s, full);
}

/* A domain of the list without its first dot: "" is the root. NULL: there is no such. */
static const char *listed_domain(const struct __res_state *conf, int index)
{
    const char *domain = index < MAXDNSRCH ? conf->dnsrch[index] : NULL;

    return domain && *domain == '.' ? domain + 1 : domain;
}

/* *root: whether the root was among the domains, and so the name asked for as it is. */
static enum outcome ask_in_domains(struct search *s, const struct __res_state *conf, const char *name, bool *root)
{
    enum outcome outcome = OUTCOME_NO_NAME;
    bool has_no_address = false, failed = false;
    const char *domain;

    for (int i = 0; (domain = listed_domain(conf, i)); i++) {
        *root |= !*domain;
        outcome = ask_below(s, name, domain);
        if (outcome_ends_search(outcome))
            return outcome;
        has_no_address |= outcome == OUTCOME_NO_ADDRESS;
        failed |= outcome == OUTCOME_FAILED;
        if (outcome == OUTCOME_SILENT || outcome == OUTCOME_MALFORMED || !(conf->options & RES_DNSRCH))
            break;
    }
    if (has_no_address)
        return OUTCOME_NO_ADDRESS;
    return failed ? OUTCOME_FAILED : outcome;
}

/* Below the domains, and then as it is unless that has been done. */
static enum outcome ask_domains_first(struct search *s, const struct __res_state *conf, const char *name, bool has_dots)
{
    bool root = false;
    enum outcome outcome = ask_in_domains(s, conf, name, &root), as_is;

    if (outcome_ends_search(outcome) || root || (!has_dots && conf->dnsrch[0] && conf->options & RES_NOTLDQUERY))
        return outcome;
    as_is = ask(s, name);
    if (outcome_ends_search(as_is))
        return as_is;
    return outcome == OUTCOME_NO_ADDRESS || outcome == OUTCOME_FAILED ? outcome : as_is;
}

static unsigned count_dots(const char *name)
{
    unsigned count = 0;

    while ((name = strchr(name, '.'))) {
        count++;
        name++;
    }
    return count;
}

enum outcome search(struct search *s, const struct __res_state *conf, const char *name)
{
    unsigned dots = count_dots(name);
    bool is_whole = dots > 0 && name[strlen(name) - 1] == '.';
    bool searches = !is_whole && conf->options & (dots ? RES_DNSRCH : RES_DEFNAMES), root = false;
    enum outcome as_is, outcome;

    if (!*name || !res_hnok(name))
        return s->last = OUTCOME_NO_NAME;
    if (dots < conf->ndots && !is_whole)
        return searches ? ask_domains_first(s, conf, name, dots > 0) : ask(s, name);
    as_is = ask(s, name);
    if (outcome_ends_search(as_is) || !searches)
        return as_is;
    outcome = ask_in_domains(s, conf, name, &root);
    return outcome_ends_search(outcome) ? outcome : as_is;
}
