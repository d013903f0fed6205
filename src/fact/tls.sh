# What of TLS servers is here. POSIX: dash, busybox ash, bash. `want` is `hands` where handshakes are asked for, and `least`
# the digits of the oldest version that may be taken. Headers first, then handshakes, then all contents in one go.
#   f SERVER SIZE PATH, followed by a line with the path that it leads to
#   d SERVER PATH: it is there and may not be read
nl='
'
# inc SERVER FILE: what a configuration includes, a pattern a line.
inc() {
  case $1 in
  nginx) tr ';{}' '\n\n\n' <"$2" | sed -n 's/^[[:space:]]*include[[:space:]]\{1,\}//p' ;;
  apache) sed -n 's/^[[:space:]]*[Ii][Nn][Cc][Ll][Uu][Dd][Ee]\([Oo][Pp][Tt][Ii][Oo][Nn][Aa][Ll]\)\{0,1\}[[:space:]]\{1,\}//p' "$2" ;;
  dovecot) sed -n 's/^[[:space:]]*!include\(_try\)\{0,1\}[[:space:]]\{1,\}//p' "$2" ;;
  openssl) sed -n 's/^[[:space:]]*[.]include[[:space:]]*=\{0,1\}[[:space:]]*//p' "$2" ;;
  esac | tr -d "\"'" | sed 's/[[:space:]]*$//'
}
# take SERVER BASE FILE…: these files and all that they include, each once.
seen=$nl
take() {
  s=$1 base=$2; shift 2
  [ ! -d "$base" ] || [ -x "$base" ] || { printf 'd %s %s\n' "$s" "$1"; return 0; }
  new=; for f; do [ -f "$f" ] && new=$new$f$nl; done
  n=0
  while [ -n "$new" ] && [ $n -lt 12 ]; do
    n=$((n+1)) now=$new new=
    while IFS= read -r f; do
      case $f in '' | [!/]*) continue ;; esac
      case $seen in *"$nl$s $f$nl"*) continue ;; esac
      seen=$seen$s' '$f$nl
      [ -r "$f" ] || { printf 'd %s %s\n' "$s" "$f"; continue; }
      more=$(inc "$s" "$f")
      case $more in '') continue ;; esac
      case $s in dovecot) root=${f%/*} ;; *) root=$base ;; esac
      o=$IFS; IFS=$nl; set -f
      for p in $more; do
        set +f
        case $p in /*) ;; *) p=$root/$p ;; esac
        for g in $p; do
          [ -d "$g" ] && for h in "$g"/*; do [ -f "$h" ] && new=$new$h$nl; done
          [ -f "$g" ] && new=$new$g$nl
        done
      done
      IFS=$o
    done <<EOS
$now
EOS
  done
}
take nginx /etc/nginx /etc/nginx/nginx.conf
[ -d /etc/apache2 ] && take apache /etc/apache2 /etc/apache2/apache2.conf
[ -d /etc/httpd ] && take apache /etc/httpd /etc/httpd/conf/httpd.conf
set -- /etc/haproxy/haproxy.cfg /etc/haproxy/conf.d/*.cfg; take haproxy /etc/haproxy "$@"
take postfix /etc/postfix /etc/postfix/main.cf /etc/postfix/master.cf
take dovecot /etc/dovecot /etc/dovecot/dovecot.conf
take vsftpd /etc /etc/vsftpd.conf /etc/vsftpd/vsftpd.conf
take openssl /etc/ssl /etc/ssl/openssl.cnf /etc/pki/tls/openssl.cnf
# Files of a group for key exchange that a configuration names; nothing else that it may name.
o=$IFS; IFS=$nl; set -f; set --
for l in $seen; do set -- "$@" "${l#* }"; done
[ $# = 0 ] || for l in $(grep -hoE '(ssl_dhparam|DHParameters|ssl-dh-param-file|smtpd_tls_dh1024_param_file|ssl_dh)[[:space:]="<]+/[^[:space:];"]+' -- "$@"); do
  f=/${l#*/}
  case $seen in *"${nl}dh $f$nl"*) continue ;; esac
  if [ -f "$f" ] && [ ! -r "$f" ]; then printf 'd dh %s\n' "$f"
  elif [ -f "$f" ] && head -c 400 -- "$f" | grep -q '^-----BEGIN DH PARAMETERS-----'; then seen=${seen}dh' '$f$nl; fi
done
set --; daemons=
for l in $seen; do
  f=${l#* }
  case ${l%% *} in openssl | dh) ;; *) daemons=1 ;; esac
  [ -r "$f" ] || continue
  t=$f; [ ! -L "$f" ] || t=$(readlink -f -- "$f")
  printf 'f %s\n%s\n' "$l" "$t"
  set -- "$@" "$f"
done
total=0 fresh=
if [ $# -gt 0 ]; then
  now=$(date +%s)
  for l in $(stat -L -c '%s %Y' -- "$@"); do
    printf 's %s\n' "${l% *}"
    total=$((total+${l% *})) age=$((now-${l#* }))
    [ $age -gt 5 ] || [ $age -lt -5 ] || fresh=1
  done
fi
IFS=$o; set +f
r=0
if [ -z "$daemons" ] || [ "$want" != hands ]; then :
elif ! command -v ss >/dev/null; then printf 'no ss\n'
elif ! command -v bash >/dev/null || ! command -v timeout >/dev/null; then printf 'no bash\n'
else
  # What was written just now may not be loaded yet: a daemon takes its new configuration a moment after it was told.
  [ -z "$fresh" ] || sleep 0.5
  ss -Hltnp | {
    k=0
    while read -r a b c l p x; do
      port=${l##*:} addr=${l%:*} st=-
      addr=${addr%%%*}; addr=${addr#\[}; addr=${addr%\]}
      case $x in *'(("nginx"'*) d=nginx ;; *'(("apache2"'* | *'(("httpd"'*) d=apache ;; *'(("haproxy"'*) d=haproxy ;;
      *'(("master"'*) d=postfix ;; *'(("dovecot"'*) d=dovecot ;; *'(("vsftpd"'*) d=vsftpd ;; *) continue ;; esac
      case $d:$port in
      *:80) continue ;; nginx:* | apache:*) ;;
      haproxy:443 | haproxy:8443 | haproxy:4443 | haproxy:9443 | haproxy:636 | haproxy:853 | haproxy:993 | haproxy:995) ;;
      postfix:25 | postfix:587) st=smtp ;; postfix:465) ;;
      dovecot:143) st=imap ;; dovecot:110) st=pop3 ;; dovecot:993 | dovecot:995) ;;
      vsftpd:21) st=ftp ;; vsftpd:990) ;; *) continue ;;
      esac
      case $addr in '*' | 0.0.0.0) at=127.0.0.1 ;; ::) at=::1 ;; *[!0-9a-f.:]* | '') continue ;; *) at=$addr ;; esac
      k=$((k+1)); [ $k -le 24 ] || { printf 'no more\n'; break; }
      (
        i=0
        for h in "$h0" "$h1" "$h2" "$h3" "$h4" "$h5"; do
          t=0
          while :; do
            y=$(timeout 4 bash -c "$talk" talk "$at" "$port" $st "$h" | od -An -v -tx1 | tr -d ' \n')
            # An old version that is taken right after a change is asked for again, for a while.
            case $fresh:$i:$y in 1:[2345]:16*) ;; 1:0:16*) [ "$least" = 13 ] || break ;; *) break ;; esac
            t=$((t+1)); [ $t -lt 8 ] || break
            sleep 0.3
          done
          printf 'h %s %s %s %s %s %s\n' $d "$addr" "$port" $st $i "$y"
          # The first tells whether it is TLS at all.
          case $i:$y in 0:1[56]* | [1-5]:*) ;; *) break ;; esac
          i=$((i+1))
        done
      ) </dev/null &
    done
    wait
  }
fi
[ "$total" -le 2097152 ] || r=202
printf 'contents\n'
[ $# = 0 ] || [ $r != 0 ] || cat -- "$@"
c $r
