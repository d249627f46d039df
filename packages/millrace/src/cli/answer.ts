/** What a command that only asks has to say: as data, and as text for people. It is printed in one place (output.ts). */
export interface Answer {
  /** The document that --json prints. Undefined members are left out, so what may be absent is null. */
  readonly json: object
  readonly text: string
  /** For standard error, after the text; not with --json, whose document says it too. */
  readonly notes?: readonly string[]
  readonly exitCode?: number
}
