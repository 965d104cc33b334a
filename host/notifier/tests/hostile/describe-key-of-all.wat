;; Has a setting that each channel has: `allow`, which grants.
;; expect: bad component: the plugin `hostile` can't be loaded: it has a setting `allow`, which each channel has whatever its notifier
;; call: describe

(data (i32.const 88) "\00\02\00\00\01\00\00\00")
(data (i32.const 400) "allow")
(data (i32.const 512) "\90\01\00\00\05\00\00\00\90\01\00\00\05\00\00\00")
