/** The files of the repository: what lies in its folder and is not ignored. It does not ask git, so a tarball of the sources will do. */
import { type Dirent, readdirSync, readFileSync } from 'node:fs'
import { join, matchesGlob, relative } from 'node:path'

export const ROOT = join(import.meta.dirname, '../..')

/** Paths relative to the root, sorted. */
export function repositoryFiles(root = ROOT): string[] {
  const ignored = readFileSync(join(root, '.gitignore'), 'utf8').split('\n').filter(Boolean)
  const files: string[] = []
  const visit = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = relative(root, join(folder, entry.name))
      if (entry.name === '.git' || ignored.some(pattern => isIgnored(pattern, path, entry))) continue
      if (entry.isDirectory()) visit(join(folder, entry.name))
      else if (entry.isFile()) files.push(path)
    }
  }
  visit(root)
  return files.sort()
}

/** The part of .gitignore's language that ours uses: `name/` and `a/path/` are folders, all else is a pattern for the name of a file. */
function isIgnored(pattern: string, path: string, entry: Dirent): boolean {
  if (!pattern.endsWith('/')) return matchesGlob(entry.name, pattern)
  const folder = pattern.slice(0, -1)
  return entry.isDirectory() && (folder.includes('/') ? path === folder : entry.name === folder)
}
