# bash completion of syncless-ctl(8)

_syncless_ctl()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} i command= socket=()

    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -s) if [ -z "$command" ]; then socket=(-s "${COMP_WORDS[++i]}"); fi ;;
        -*) ;;
        *) command=${command:-${COMP_WORDS[i]}} ;;
        esac
    done
    COMPREPLY=()
    case $before:$command in
    -s:profile | --rate:* | --url:*) ;;
    --format:*) mapfile -t COMPREPLY < <(compgen -W 'svg collapsed speedscope perfetto' -- "$word") ;;
    -s:* | -o:*) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    *:) mapfile -t COMPREPLY < <(compgen -W '-s -j -h ping ready status about workers requests trace top cancel
            metrics profile console debug record reload reopen log drain stop' -- "$word") ;;
    *:profile) mapfile -t COMPREPLY < <(compgen -W '-s -o --format --url --rate' -- "$word") ;;
    *:record) mapfile -t COMPREPLY < <(compgen -W '-o' -- "$word") ;;
    *:log) mapfile -t COMPREPLY < <(compgen -W 'error warn info debug' -- "$word") ;;
    *:metrics) mapfile -t COMPREPLY < <(compgen -W 'plain' -- "$word") ;;
    *:reload) mapfile -t COMPREPLY < <(compgen -W '--wait' -- "$word") ;;
    *:workers) mapfile -t COMPREPLY < <(compgen -W '+1 -1' -- "$word") ;;
    *:requests) mapfile -t COMPREPLY < <(compgen -W '-j --older --slow --limit' -- "$word") ;;
    *:console) mapfile -t COMPREPLY < <(compgen -W "$(syncless-ctl "${socket[@]}" workers 2>/dev/null |
            sed -n 's/.*  pid \([0-9]*\) .*/\1/p')" -- "$word") ;;
    *:trace | *:cancel | *:debug) mapfile -t COMPREPLY < <(compgen -W "$(syncless-ctl "${socket[@]}" requests 2>/dev/null |
            cut -d' ' -f1)" -- "$word") ;;
    esac
}
complete -F _syncless_ctl syncless-ctl
