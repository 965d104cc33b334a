
nssm install {name} {binary} {parameters}
nssm set {name} DisplayName "uptime: {what}"
nssm set {name} AppDirectory {directory}
{environment}nssm set {name} AppExit Default Restart
nssm set {name} AppRestartDelay 2000
nssm set {name} AppStopMethodConsole 60000
nssm set {name} AppStdout {log}
nssm set {name} AppStderr {log}
nssm set {name} AppRotateFiles 1
nssm set {name} AppRotateOnline 1
nssm set {name} AppRotateBytes 10485760
nssm set {name} Start SERVICE_AUTO_START
nssm start {name}
