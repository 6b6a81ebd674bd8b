/*
 * search.c: the search for a name, below the domains of resolv.conf.
 *
 * It tries the same names as libc's res_search, in the same order: a name with enough dots as it is, and then below
 * each domain; another name below the domains first. c-ares could search too, but gives up when a server refuses the
 * first name, where libc goes on; private networks rely on that. If no name is found, the outcome is that of the name
 * as it is if that was tried first; else that some domain has the name without an address, or that some server has
 * failed. Like libc, it does not ask for what cannot be the name of a host.
 */
#include "libc/dns/search.h"

#include <arpa/nameser.h>
#include <stdio.h>
#include <string.h>

static enum outcome search_ask(struct search *s, const char *name)
{
    return s->last = s->ask(s->arg, name);
}

static enum outcome search_ask_below(struct search *s, const char *name, const char *domain)
{
    char full[NS_MAXDNAME];

    if (!*domain)
        return search_ask(s, name);
    if ((size_t)snprintf(full, sizeof(full), "%s.%s", name, domain) >= sizeof(full))
        return s->last = OUTCOME_MALFORMED;
    return search_ask(s, full);
}

/* Returns a domain of the list without its leading dot, "" for the root; NULL after the last. */
static const char *search_domain(const struct __res_state *conf, int index)
{
    const char *domain = index < MAXDNSRCH ? conf->dnsrch[index] : NULL;

    return domain && *domain == '.' ? domain + 1 : domain;
}

/* *root is set if the root is among the domains: then the name has been asked for as it is. */
static enum outcome search_in_domains(struct search *s, const struct __res_state *conf, const char *name, bool *root)
{
    enum outcome outcome = OUTCOME_NO_NAME;
    bool has_no_address = false, failed = false;
    const char *domain;

    for (int i = 0; (domain = search_domain(conf, i)); i++) {
        *root |= !*domain;
        outcome = search_ask_below(s, name, domain);
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

/* Ask for the name below the domains, and then as it is if that has not been done. */
static enum outcome search_domains_first(struct search *s, const struct __res_state *conf, const char *name,
                                         bool has_dots)
{
    bool root = false;
    enum outcome outcome = search_in_domains(s, conf, name, &root), as_is;

    if (outcome_ends_search(outcome) || root || (!has_dots && conf->dnsrch[0] && conf->options & RES_NOTLDQUERY))
        return outcome;
    as_is = search_ask(s, name);
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

enum outcome search_run(struct search *s, const struct __res_state *conf, const char *name)
{
    unsigned dots = count_dots(name);
    bool is_whole = dots > 0 && name[strlen(name) - 1] == '.';
    bool searches = !is_whole && conf->options & (dots ? RES_DNSRCH : RES_DEFNAMES), root = false;
    enum outcome as_is, outcome;

    if (!*name || !res_hnok(name))
        return s->last = OUTCOME_NO_NAME;
    if (dots < conf->ndots && !is_whole)
        return searches ? search_domains_first(s, conf, name, dots > 0) : search_ask(s, name);
    as_is = search_ask(s, name);
    if (outcome_ends_search(as_is) || !searches)
        return as_is;
    outcome = search_in_domains(s, conf, name, &root);
    return outcome_ends_search(outcome) ? outcome : as_is;
}
