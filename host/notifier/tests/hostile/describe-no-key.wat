;; Has a setting whose name nobody could write.
;; expect: bad component: the plugin `hostile` can't be loaded: it has a setting `k ]`; a setting's name is lower-case letters, digits and `_`, at most 40
;; call: describe

(data (i32.const 88) "\00\02\00\00\01\00\00\00")
(data (i32.const 400) "k\0a]")
(data (i32.const 512) "\90\01\00\00\03\00\00\00\90\01\00\00\03\00\00\00")
