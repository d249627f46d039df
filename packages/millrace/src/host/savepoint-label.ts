/** What the owner of a savepoint calls it: it stands in a line of a listing. */
import { MillraceError } from '../base/errors.ts'

/** Without control characters. Of the simple kind, since it is part of the description of the control API. */
export const LABEL = /^[ -~\u00a0-\uffff]{1,200}$/
export const LABEL_ALLOWED = '1 to 200 characters on one line'

/** @throws OPTION_INVALID */
export function assertLabel(label: string | undefined): void {
  if (label === undefined || LABEL.test(label)) return
  const shown = JSON.stringify(label.slice(0, 200))
  throw new MillraceError('OPTION_INVALID', `the label of a savepoint is ${shown}; it must be ${LABEL_ALLOWED}`)
}
