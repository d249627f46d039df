/** What becomes of input that cannot be read: it fails the job, or goes to a side output. Either way it is counted. */
import { MillraceError } from '../../base/errors.ts'
import type { SourceContext, SourceOutput } from '../contract.ts'

/** What a side output made with `{ malformed: tag }` carries. */
export interface MalformedLine {
  readonly file: string
  /** Of the first byte of the line (or CSV row) in the file; in the decompressed content of a gzip file. */
  readonly offset: number
  /** The line without its line break; its first 200 characters if it was too long to be read. */
  readonly text: string
  readonly reason: string
}

/** A tag made by `outputTag<MalformedLine>(…)`. */
export interface MalformedTag {
  readonly name: string
  readonly _record?: (record: MalformedLine) => MalformedLine
}

const EXCERPT_CHARACTERS = 200

export function excerptOf(text: string): string {
  return text.length <= EXCERPT_CHARACTERS ? text : `${text.slice(0, EXCERPT_CHARACTERS)}…`
}

export class MalformedLines {
  private readonly file: string
  private readonly tag: string | undefined
  private readonly context: SourceContext

  constructor(file: string, tag: MalformedTag | undefined, context: SourceContext) {
    this.file = file
    this.tag = tag?.name
    this.context = context
  }

  /** @throws MALFORMED_RECORD unless the source has a tag for such lines */
  report(offset: number, text: string, reason: string, output: SourceOutput<unknown>): void {
    this.context.count('malformed', 1)
    if (this.tag === undefined) throw this.error(offset, text, reason)
    output.side(this.tag, { file: this.file, offset, text, reason } satisfies MalformedLine)
  }

  error(offset: number, text: string, reason: string): MillraceError {
    return new MillraceError(
      'MALFORMED_RECORD',
      `${this.file}:${offset}: ${reason}: ${JSON.stringify(excerptOf(text))}`,
      {
        context: { file: this.file, offset, reason },
        hint: 'Mend the input, or pass { malformed: tag } to the source to send such lines to a side output.',
      },
    )
  }
}
