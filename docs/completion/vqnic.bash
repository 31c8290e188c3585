# SPDX-License-Identifier: BSD-3-Clause
# Completion of vqnic for bash.

_vqnic()
{
	local cur=$2 prev=$3 program=${COMP_WORDS[0]} command=${COMP_WORDS[1]} words=
	local IFS=$' \t\n'

	[[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}
	[[ $cur == = ]] && cur=
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W "run bench defects profiles --help --version" -- "$cur"))
		return
	fi
	case $prev in
	--defect) words=$("$program" defects 2>/dev/null | sed -n 's/^  \([^ ]*\).*/\1/p') ;;
	--fabric) words="direct delayed" ;;
	--wire) words="none loopback tap: stream: stream-listen: wire: pcap:" ;;
	--ring) words="split packed" ;;
	--direction) words="tx rx loop" ;;
	--format) [[ $command == bench ]] && words="table json" || words="human json" ;;
	--vfio-user | --socket-path)
		compopt -o default
		return
		;;
	--fd | --seed | --set | --batch | --frame-bytes | --queue-size | --seconds) return ;;
	*)
		if [[ $cur == -* ]]; then
			words=$("$program" "$command" --help 2>/dev/null |
				grep -o -e '--[a-z][a-z-]*' | sort -u)
		elif [[ $command == run || $command == bench ]]; then
			words=$("$program" profiles 2>/dev/null | awk '{ print $1 }')
		fi
		;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	[[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace
}

complete -F _vqnic vqnic
