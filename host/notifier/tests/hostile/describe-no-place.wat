;; Has a secret that goes to a place of a kind that there is not.
;; expect: bad return: the plugin `hostile` handed over what can't be read: unexpected discriminant: 42
;; call: describe

(data (i32.const 400) "key")
(data (i32.const 88) "\00\02\00\00\01\00\00\00")
(data (i32.const 512) "\90\01\00\00\03\00\00\00\90\01\00\00\03\00\00\00\01")
(data (i32.const 552) "\bc\02\00\00\01\00\00\00")
(data (i32.const 700) "\2a")
