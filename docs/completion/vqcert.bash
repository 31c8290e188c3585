# SPDX-License-Identifier: BSD-3-Clause
# Completion of vqcert for bash.

_vqcert_checks()
{
	local names=$("$1" list --format names 2>/dev/null)

	printf '%s\n' "$names" "$(printf '%s\n' "$names" | sed 's/\..*//' | sort -u)"
}

_vqcert()
{
	local cur=$2 prev=$3 program=${COMP_WORDS[0]} command=${COMP_WORDS[1]} words=
	local IFS=$' \t\n'

	# "--format=x" comes as three words, "sim:x" too
	[[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}
	[[ $cur == = ]] && cur=
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W "list run prove trace --help --version" -- "$cur"))
		return
	fi
	case $command:$prev in
	run:-f | run:--format) words="tap ktap json junit human" ;;
	list:-f | list:--format) words="human names json" ;;
	prove:-f | prove:--format) words="human json html" ;;
	trace:-f | trace:--format) words="human csv html json" ;;
	run:--exit-codes) words=meson ;;
	run:-p | run:--peer) words="loopback none stream: tap: packet:" ;;
	*:-s | *:--seed) words=random ;;
	*:--defect | prove:-d) words=$(vqnic defects 2>/dev/null | sed -n 's/^  \([^ ]*\).*/\1/p') ;;
	*:-x | *:--exclude | prove:-c | prove:--checks) words=$(_vqcert_checks "$program") ;;
	run:-o | run:--output)
		compopt -o dirnames
		return
		;;
	trace:-o | trace:--output | run:-r | run:--require | run:--errata)
		compopt -o default
		return
		;;
	*:-t | *:--timeout | *:-j | *:--jobs | *:--retries | trace:--area) return ;;
	*)
		if [[ $cur == -* ]]; then
			words=$("$program" "$command" --help 2>/dev/null |
				grep -o -e '--[a-z][a-z-]*' | sort -u)
		elif [[ $command == list ]]; then
			words=$(_vqcert_checks "$program")
		elif [[ $command == prove ]]; then
			words=$(vqnic profiles 2>/dev/null | awk '{ print $1 }')
		elif [[ $command == run ]]; then
			words="sim: vfio-user: vhost-vdpa: $(_vqcert_checks "$program")"
		else
			compopt -o default
			return
		fi
		;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	[[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace
}

complete -F _vqcert vqcert
