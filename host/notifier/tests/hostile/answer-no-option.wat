;; Answers with an id that neither is nor is not.
;; expect: bad return: the plugin `hostile` handed over what can't be read: invalid option discriminant

(data (i32.const 256) "\00\00\00\00\00\00\00\00\07")
