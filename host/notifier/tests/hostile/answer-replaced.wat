;; Replaces three settings: a secret one, an address, and one that it does not have. None is taken over.
;; expect: delivered

(data (i32.const 88) "\00\02\00\00\02\00\00\00")
(data (i32.const 400) "keyurlallow")
;; Two fields: `key`, a secret, and `url`, an address.
(data (i32.const 512) "\90\01\00\00\03\00\00\00\90\01\00\00\03\00\00\00\01")
;; The secret is to sign with.
(data (i32.const 552) "\bc\02\00\00\01\00\00\00")
(data (i32.const 700) "\05")
(data (i32.const 560) "\93\01\00\00\03\00\00\00\93\01\00\00\03\00\00\00\02")
;; Each is replaced by the text `hostile`, and so is `allow`.
(data (i32.const 288) "\00\03\00\00\03\00\00\00")
(data (i32.const 768) "\90\01\00\00\03\00\00\00\00\00\00\00\00\00\00\00\10\00\00\00\07\00\00\00")
(data (i32.const 792) "\93\01\00\00\03\00\00\00\00\00\00\00\00\00\00\00\10\00\00\00\07\00\00\00")
(data (i32.const 816) "\96\01\00\00\05\00\00\00\00\00\00\00\00\00\00\00\10\00\00\00\07\00\00\00")
