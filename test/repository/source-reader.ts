/**
 * What a source file refers to outside itself: modules and globals, read from the compiler's own syntax tree and symbols, so that
 * comments, strings, property names and local variables of the same name do not count. Files are given as text, under names that
 * start with `/`; nothing is read from the disk.
 */
import { createVirtualFileSystem } from 'typescript/unstable/fs'
import { API, type Checker } from 'typescript/unstable/sync'
import { SyntaxKind, type Node, type SourceFile } from 'typescript/unstable/ast'

export interface ModuleReference {
  /** As it is written: `../base/json.ts`, `node:fs`, `commander`. */
  readonly specifier: string
  /** The names that are taken out of it; undefined: all, or none. */
  readonly names: readonly string[] | undefined
  readonly typeOnly: boolean
  readonly line: number
}

export interface GlobalUse {
  /** `Date.now`, `new Date()`, `setTimeout`: with one property, and with `new` and `()` when there are no arguments. */
  readonly name: string
  readonly line: number
}

export interface SourceReferences {
  readonly modules: readonly ModuleReference[]
  readonly globals: readonly GlobalUse[]
}

const COMPILER_OPTIONS = {
  module: 'nodenext',
  target: 'es2024',
  lib: ['es2024'],
  types: [],
  noEmit: true,
  allowImportingTsExtensions: true,
}

/** References of every file, by its name. */
export function readSources(files: { readonly [name: string]: string }): Map<string, SourceReferences> {
  const config = '/tsconfig.json'
  const tree = { ...files, [config]: JSON.stringify({ compilerOptions: COMPILER_OPTIONS, files: Object.keys(files) }) }
  const api = new API({ cwd: '/', fs: createVirtualFileSystem(tree) })
  try {
    const project = api.updateSnapshot({ openProject: config }).getProject(config)
    if (project === undefined) throw new Error('the compiler did not open the virtual project')
    return new Map(
      Object.keys(files).map(name => {
        const source = project.program.getSourceFile(name)
        if (source === undefined) throw new Error(`the compiler did not read ${name}`)
        return [name, references(source, project.checker)]
      }),
    )
  } finally {
    api.close()
  }
}

function references(source: SourceFile, checker: Checker): SourceReferences {
  const modules: ModuleReference[] = []
  const globals: GlobalUse[] = []
  const lineOf = (node: Node) => source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1

  const visit = (node: Node): void => {
    const reference = moduleReference(node)
    if (reference !== undefined) modules.push({ ...reference, line: lineOf(node) })
    if (node.kind === SyntaxKind.Identifier && isGlobal(node, checker, source)) {
      globals.push({ name: globalName(node), line: lineOf(node) })
    }
    node.forEachChild(visit)
  }
  visit(source)
  return { modules, globals }
}

/** The properties of syntax nodes that are looked at here, whatever the kind. */
interface AnyNode extends Node {
  readonly parent: AnyNode
  readonly text?: string
  readonly name?: AnyNode
  readonly propertyName?: AnyNode
  readonly expression?: AnyNode
  readonly argumentExpression?: AnyNode
  readonly arguments?: readonly AnyNode[]
  readonly elements?: readonly AnyNode[]
  readonly argument?: AnyNode
  readonly literal?: AnyNode
  readonly importClause?: AnyNode
  readonly namedBindings?: AnyNode
  readonly exportClause?: AnyNode
  readonly moduleSpecifier?: AnyNode
  readonly phaseModifier?: SyntaxKind
  readonly isTypeOnly?: boolean
}

function moduleReference(node: AnyNode): Omit<ModuleReference, 'line'> | undefined {
  switch (node.kind) {
    case SyntaxKind.ImportDeclaration: {
      const clause = node.importClause
      return {
        specifier: node.moduleSpecifier!.text!,
        names: namesOf(clause?.namedBindings),
        typeOnly: clause?.phaseModifier === SyntaxKind.TypeKeyword,
      }
    }
    case SyntaxKind.ExportDeclaration:
      if (node.moduleSpecifier === undefined) return undefined
      return {
        specifier: node.moduleSpecifier.text!,
        names: namesOf(node.exportClause),
        typeOnly: node.isTypeOnly === true,
      }
    case SyntaxKind.ImportType:
      return { specifier: node.argument!.literal!.text!, names: undefined, typeOnly: true }
    case SyntaxKind.CallExpression:
      if (node.expression!.kind !== SyntaxKind.ImportKeyword) return undefined
      return { specifier: literalText(node.arguments![0]), names: undefined, typeOnly: false }
    default:
      return undefined
  }
}

/** A specifier that is computed cannot be judged; job files are imported that way. */
function literalText(node: AnyNode | undefined): string {
  return node?.kind === SyntaxKind.StringLiteral ? node.text! : '(computed)'
}

function namesOf(bindings: AnyNode | undefined): string[] | undefined {
  return bindings?.elements?.map(element => (element.propertyName ?? element.name)!.text!)
}

/** Whether an identifier names a value that no project file declares. */
function isGlobal(node: AnyNode, checker: Checker, source: SourceFile): boolean {
  const parent = node.parent
  if (parent.kind === SyntaxKind.PropertyAccessExpression && parent.name === node) return false
  if (parent.kind === SyntaxKind.QualifiedName || parent.kind === SyntaxKind.TypeReference) return false
  const symbol =
    parent.kind === SyntaxKind.ShorthandPropertyAssignment
      ? checker.getShorthandAssignmentValueSymbol(parent)
      : checker.getSymbolAtLocation(node)
  return !(symbol?.declarations ?? []).some(
    declaration => declaration.path.toLowerCase() === source.fileName.toLowerCase(),
  )
}

function globalName(node: AnyNode): string {
  const parent = node.parent
  const property = parent.kind === SyntaxKind.PropertyAccessExpression ? parent.name : parent.argumentExpression
  if (parent.expression !== node) return node.text!
  if (property?.text !== undefined && parent.kind !== SyntaxKind.CallExpression) return `${node.text}.${property.text}`
  const noArguments = (parent.arguments ?? []).length === 0
  if (parent.kind === SyntaxKind.NewExpression && noArguments) return `new ${node.text}()`
  if (parent.kind === SyntaxKind.CallExpression && noArguments) return `${node.text}()`
  return node.text!
}
