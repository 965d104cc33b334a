@echo off
rem uptime: {processes}, as services of NSSM (https://nssm.cc).
rem Printed by `uptime service windows`. Run it once, as an administrator. Afterwards: nssm status NAME, nssm restart NAME.
rem The program is {binary}, its file {config}.
rem A stop is a Ctrl+C, and 60 s for what runs to end (20 s), and for the last words to the database.
{database}if not exist {logs} mkdir {logs}
