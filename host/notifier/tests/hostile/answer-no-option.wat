;; Answers with an id that neither is nor is not.
;; expect: trap: the plugin `hostile` crashed: invalid option discriminant

(data (i32.const 256) "\00\00\00\00\00\00\00\00\07")
