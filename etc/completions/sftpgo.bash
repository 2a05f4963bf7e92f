# Completion for sftpgo, made by: sftpgo completion bash
_sftpgo() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" place="" words="" kind=-W word
  for word in "${COMP_WORDS[@]:1:$((COMP_CWORD-1))}"; do
    case "$place/$word" in
      /serve|/portable|/initprovider|/import|/rest|rest/add-user|rest/update-user|rest/delete-user|rest/get-users|rest/get-user-by-id|rest/get-quota-scans|rest/start-quota-scan|rest/cancel-quota-scan|rest/get-connections|rest/close-connection|rest/get-version|rest/get-provider-status|rest/dumpdata|rest/loaddata|rest/explain|rest/events|rest/completion|/explain|/check-config|/doctor|/service|/completion) place="${place:+$place/}$word" ;;
    esac
  done
  case "$place $previous" in
    'serve -c'|'serve --config-dir') kind=-d ;;
    'serve -f'|'serve --config-file') kind=-f ;;
    'serve --config') kind=-f ;;
    'serve -w'|'serve --wait') words="" ;;
    'serve -l'|'serve --log-file-path') kind=-f ;;
    'serve -s'|'serve --log-max-size') words="" ;;
    'serve -b'|'serve --log-max-backups') words="" ;;
    'serve -a'|'serve --log-max-age') words="" ;;
    'serve -z'|'serve --log-compress') words="" ;;
    'serve -v'|'serve --log-verbose') words="" ;;
    'portable -d'|'portable --directory') kind=-d ;;
    'portable -g'|'portable --permissions') words="" ;;
    'portable -u'|'portable --username') words="" ;;
    'portable -p'|'portable --password') words="" ;;
    'portable --password-file') words="" ;;
    'portable -k'|'portable --public-key') kind=-f ;;
    'portable -s'|'portable --sftpd-port') words="" ;;
    'portable -c'|'portable --ssh-commands') words="" ;;
    'portable -l'|'portable --log-file-path') kind=-f ;;
    'portable --bind-address') words="" ;;
    'initprovider -c'|'initprovider --config-dir') kind=-d ;;
    'initprovider -f'|'initprovider --config-file') kind=-f ;;
    'initprovider --config') kind=-f ;;
    'initprovider -w'|'initprovider --wait') words="" ;;
    'import -c'|'import --config-dir') kind=-d ;;
    'import -f'|'import --config-file') kind=-f ;;
    'import --config') kind=-f ;;
    'import -w'|'import --wait') words="" ;;
    'import --format') words="auto dump sqlite passwd pureftpd proftpd" ;;
    'import --table') words="" ;;
    'import --shadow') kind=-f ;;
    'import --min-uid') words="" ;;
    'import --max-uid') words="" ;;
    'import --permissions') words="" ;;
    'rest -b'|'rest --base-url') words="" ;;
    'rest -a'|'rest --auth-type') words="basic" ;;
    'rest -u'|'rest --auth-user') words="" ;;
    'rest -p'|'rest --auth-password') words="" ;;
    'rest --ca-file') kind=-f ;;
    'rest --timeout') words="" ;;
    'rest -o'|'rest --output') words="json table" ;;
    'rest/add-user -P'|'rest/add-user --password') words="" ;;
    'rest/add-user -K'|'rest/add-user --public-keys') words="" ;;
    'rest/add-user -H'|'rest/add-user --home-dir') words="" ;;
    'rest/add-user --uid') words="" ;;
    'rest/add-user --gid') words="" ;;
    'rest/add-user -C'|'rest/add-user --max-sessions') words="" ;;
    'rest/add-user -S'|'rest/add-user --quota-size') words="" ;;
    'rest/add-user -F'|'rest/add-user --quota-files') words="" ;;
    'rest/add-user -G'|'rest/add-user --permissions') words="list download upload overwrite rename delete create_dirs create_symlinks chmod chown chtimes" ;;
    'rest/add-user --subdirs-permissions') words="" ;;
    'rest/add-user -U'|'rest/add-user --upload-bandwidth') words="" ;;
    'rest/add-user -D'|'rest/add-user --download-bandwidth') words="" ;;
    'rest/add-user --status') words="0 1" ;;
    'rest/add-user -E'|'rest/add-user --expiration-date') words="" ;;
    'rest/add-user -Y'|'rest/add-user --allowed-ip') words="" ;;
    'rest/add-user -N'|'rest/add-user --denied-ip') words="" ;;
    'rest/update-user -P'|'rest/update-user --password') words="" ;;
    'rest/update-user -K'|'rest/update-user --public-keys') words="" ;;
    'rest/update-user -H'|'rest/update-user --home-dir') words="" ;;
    'rest/update-user --uid') words="" ;;
    'rest/update-user --gid') words="" ;;
    'rest/update-user -C'|'rest/update-user --max-sessions') words="" ;;
    'rest/update-user -S'|'rest/update-user --quota-size') words="" ;;
    'rest/update-user -F'|'rest/update-user --quota-files') words="" ;;
    'rest/update-user -G'|'rest/update-user --permissions') words="list download upload overwrite rename delete create_dirs create_symlinks chmod chown chtimes" ;;
    'rest/update-user --subdirs-permissions') words="" ;;
    'rest/update-user -U'|'rest/update-user --upload-bandwidth') words="" ;;
    'rest/update-user -D'|'rest/update-user --download-bandwidth') words="" ;;
    'rest/update-user --status') words="0 1" ;;
    'rest/update-user -E'|'rest/update-user --expiration-date') words="" ;;
    'rest/update-user -Y'|'rest/update-user --allowed-ip') words="" ;;
    'rest/update-user -N'|'rest/update-user --denied-ip') words="" ;;
    'rest/get-users -L'|'rest/get-users --limit') words="" ;;
    'rest/get-users -O'|'rest/get-users --offset') words="" ;;
    'rest/get-users -U'|'rest/get-users --username') words="" ;;
    'rest/get-users -S'|'rest/get-users --order') words="ASC DESC" ;;
    'rest/loaddata -Q'|'rest/loaddata --scan-quota') words="0 1 2" ;;
    'rest/explain --ip') words="" ;;
    'explain -c'|'explain --config-dir') kind=-d ;;
    'explain -f'|'explain --config-file') kind=-f ;;
    'explain --config') kind=-f ;;
    'explain -w'|'explain --wait') words="" ;;
    'explain --ip') words="" ;;
    'check-config -c'|'check-config --config-dir') kind=-d ;;
    'check-config -f'|'check-config --config-file') kind=-f ;;
    'check-config --config') kind=-f ;;
    'check-config -w'|'check-config --wait') words="" ;;
    'doctor -c'|'doctor --config-dir') kind=-d ;;
    'doctor -f'|'doctor --config-file') kind=-f ;;
    'doctor --config') kind=-f ;;
    'doctor -w'|'doctor --wait') words="" ;;
    'doctor --users') words="" ;;
    'service -n'|'service --name') words="" ;;
    'service -c'|'service --config-dir') kind=-d ;;
    'service -u'|'service --user') words="" ;;
    'service --home-dirs') words="" ;;
    'service --program') words="" ;;
    'service --root') kind=-d ;;
    *)
      case "$place" in
        "") words="serve portable initprovider import rest explain check-config doctor service completion -h --help -v --version" ;;
        "serve") words="-c --config-dir -f --config-file --config -w --wait -l --log-file-path -s --log-max-size -b --log-max-backups -a --log-max-age -z --log-compress -v --log-verbose --help" ;;
        "portable") words="-h --help -d --directory -g --permissions -u --username -p --password --password-file -k --public-key -s --sftpd-port -c --ssh-commands -l --log-file-path --bind-address -S --advertise-service --no-advertise-service -C --advertise-credentials --no-advertise-credentials" ;;
        "initprovider") words="-h --help -c --config-dir -f --config-file --config -w --wait" ;;
        "import") words="-h --help -c --config-dir -f --config-file --config -w --wait --format --dry-run -q --quiet --table --shadow --min-uid --max-uid --permissions" ;;
        "rest") words="add-user update-user delete-user get-users get-user-by-id get-quota-scans start-quota-scan cancel-quota-scan get-connections close-connection get-version get-provider-status dumpdata loaddata explain events completion -h --help -b --base-url -a --auth-type -u --auth-user -p --auth-password -d --debug -i --insecure --ca-file --timeout -o --output -t --no-color" ;;
        "rest/add-user") words="-h --help -P --password -K --public-keys -H --home-dir --uid --gid -C --max-sessions -S --quota-size -F --quota-files -G --permissions --subdirs-permissions -U --upload-bandwidth -D --download-bandwidth --status -E --expiration-date -Y --allowed-ip -N --denied-ip" ;;
        "rest/update-user") words="-h --help -P --password -K --public-keys -H --home-dir --uid --gid -C --max-sessions -S --quota-size -F --quota-files -G --permissions --subdirs-permissions -U --upload-bandwidth -D --download-bandwidth --status -E --expiration-date -Y --allowed-ip -N --denied-ip" ;;
        "rest/delete-user") words="-h --help" ;;
        "rest/get-users") words="-h --help -L --limit -O --offset -U --username -S --order" ;;
        "rest/get-user-by-id") words="-h --help" ;;
        "rest/get-quota-scans") words="-h --help" ;;
        "rest/start-quota-scan") words="-h --help" ;;
        "rest/cancel-quota-scan") words="-h --help" ;;
        "rest/get-connections") words="-h --help" ;;
        "rest/close-connection") words="-h --help" ;;
        "rest/get-version") words="-h --help" ;;
        "rest/get-provider-status") words="-h --help" ;;
        "rest/dumpdata") words="-h --help" ;;
        "rest/loaddata") words="-h --help -Q --scan-quota --partial" ;;
        "rest/explain") words="stat list download upload overwrite rename delete create_dirs create_symlinks chmod chown chtimes -h --help --ip" ;;
        "rest/events") words="-h --help" ;;
        "rest/completion") words="bash zsh fish -h --help" ;;
        "explain") words="stat list download upload overwrite rename delete create_dirs create_symlinks chmod chown chtimes -h --help -c --config-dir -f --config-file --config -w --wait --ip --json" ;;
        "check-config") words="-h --help -c --config-dir -f --config-file --config -w --wait --json" ;;
        "doctor") words="-h --help -c --config-dir -f --config-file --config -w --wait --json --users" ;;
        "service") words="install uninstall start stop restart status -h --help -n --name -c --config-dir -u --user --home-dirs --program --root --force --dry-run" ;;
        "completion") words="bash zsh fish -h --help" ;;
      esac ;;
  esac
  COMPREPLY=()
  if [ "$kind" != -W ]; then compopt -o filenames 2>/dev/null; set -- "$kind"; else set -- -W "$words"; fi
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen "$@" -- "$current")
}
complete -F _sftpgo sftpgo
