import Catalog

/// An entity tag as the catalog stores it. (HTTPSyntax has its own, with its quotes and weakness; the
/// module Catalog cannot be named in front of this one, because a type has its name.)
package typealias StoredEntityTag = EntityTag
