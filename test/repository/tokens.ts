/**
 * TypeScript as a list of tokens, as far as the tests that read the sources need it: names, punctuation and strings, without comments,
 * and without the text of templates and regular expressions. Not a parser: whether `/` divides or begins a regular expression is told
 * from the token before it, which is right wherever a division follows a value and a regular expression does not.
 */

export interface Token {
  readonly kind: 'name' | 'string' | 'other'
  /** A string's is its contents as written, without quotes. */
  readonly text: string
  readonly line: number
}

const SPACE_OR_COMMENT = /(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)+/y
const NAME = /#?[\p{ID_Start}$_][\p{ID_Continue}$]*/uy
const NUMBER = /\.?\d[\w.]*/y
const STRING = /'((?:[^'\\\n]|\\[\s\S])*)'|"((?:[^"\\\n]|\\[\s\S])*)"/y
const REGEX = /\/(?![*/])(?:[^\\/[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/\w*/y
const TEMPLATE_TEXT = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*/y
const PUNCTUATION = /=>|\?\.(?!\d)|\.\.\.|[\s\S]/y

/** Words after which a value begins, so that `/` is a regular expression. */
const BEFORE_VALUE = new Set(
  'await case delete do else extends in instanceof new of return throw typeof void yield'.split(' '),
)

export function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  /** For every open brace, whether it is the `${` of a template. */
  const braces: boolean[] = []
  let at = 0
  let line = 1

  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at
    const match = pattern.exec(text) ?? undefined
    if (match !== undefined) at += match[0].length
    return match
  }
  const push = (kind: Token['kind'], token: string) => void tokens.push({ kind, text: token, line })
  const takeTemplateText = () => {
    take(TEMPLATE_TEXT)
    if (text.startsWith('${', at)) braces.push(true)
    at += text[at] === '$' ? 2 : 1
  }

  while (at < text.length) {
    const start = at
    if (take(SPACE_OR_COMMENT) === undefined) {
      const name = take(NAME)
      const string = name === undefined ? take(STRING) : undefined
      if (name !== undefined) push('name', name[0])
      else if (string !== undefined) push('string', string[1] ?? string[2] ?? '')
      else if (take(NUMBER) !== undefined) push('other', '0')
      else if (beginsValue(tokens.at(-1)) && take(REGEX) !== undefined) push('other', '/ /')
      else {
        const mark = take(PUNCTUATION)![0]
        if (mark === '{') braces.push(false)
        if (mark === '`') {
          push('other', '`')
          takeTemplateText()
        } else if (mark === '}' && braces.pop() === true) takeTemplateText()
        else push('other', mark)
      }
    }
    for (let index = start; index < at; index++) if (text[index] === '\n') line++
  }
  return tokens
}

function beginsValue(before: Token | undefined): boolean {
  if (before === undefined) return true
  if (before.kind === 'name') return BEFORE_VALUE.has(before.text)
  return before.kind === 'other' && !['0', '`', '/ /', ')', ']', '}'].includes(before.text)
}

export interface Import {
  /** undefined: computed. */
  readonly specifier: string | undefined
  readonly line: number
}

/** Every module that is named by `import`, `export … from` or `import()`, of values and of types. */
export function importsOf(tokens: readonly Token[]): Import[] {
  return tokens.flatMap((token, index) => {
    const after = (offset: number) => tokens[index + offset]?.text
    if (token.kind !== 'name' || ['.', '?.'].includes(after(-1) ?? '') || after(1) === ':') return []
    if (token.text === 'import' && after(1) === '(') {
      const argument = tokens[index + 2]
      return [{ specifier: argument?.kind === 'string' ? argument.text : undefined, line: token.line }]
    }
    const isExport = token.text === 'export' && ['{', '*'].includes(after(after(1) === 'type' ? 2 : 1) ?? '')
    if (!isExport && (token.text !== 'import' || after(1) === '.')) return []
    const rest = tokens.slice(index + 1)
    const end = rest.findIndex(({ kind, text }) => kind === 'string' || text === '}')
    const named = rest[end]?.kind === 'string' ? rest[end] : rest[end + 1]?.text === 'from' ? rest[end + 2] : undefined
    return named?.kind === 'string' ? [{ specifier: named.text, line: token.line }] : []
  })
}
