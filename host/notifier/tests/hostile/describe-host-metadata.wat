;; Asks for a cloud's metadata service.
;; expect: bad component: the plugin `hostile` can't be loaded: it asks for `http://169.254.169.254`, a metadata address, which is never open to a plugin
;; call: describe

(data (i32.const 96) "\00\02\00\00\01\00\00\00")
(data (i32.const 512) "\90\01\00\00\16\00\00\00")
(data (i32.const 400) "http://169.254.169.254")
