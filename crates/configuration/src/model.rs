//! The closed sets of words that configuration items are described with.

use kernel::words;

words! {
    /// What kind of thing a configuration item is.
    ItemClass {
        /// A service, where it is itself a part of others.
        Service = "SERVICE",
        /// A program that people or other programs use.
        Application = "APPLICATION",
        /// A computer that serves others.
        Server = "SERVER",
        /// A computer that runs on another.
        VirtualMachine = "VIRTUAL_MACHINE",
        /// A database.
        Database = "DATABASE",
        /// A switch, a router, an access point.
        NetworkDevice = "NETWORK_DEVICE",
        /// A computer that somebody works at.
        Workstation = "WORKSTATION",
        /// A telephone or a tablet.
        MobileDevice = "MOBILE_DEVICE",
        /// A printer.
        Printer = "PRINTER",
        /// A program as it is installed or licensed.
        Software = "SOFTWARE",
        /// Something rented from a cloud.
        CloudResource = "CLOUD_RESOURCE",
        /// A room, a building, a site.
        Location = "LOCATION",
    }
}

words! {
    /// How one configuration item stands to another.
    RelationType {
        /// It does not work without the other.
        DependsOn = "DEPENDS_ON",
        /// It runs on the other.
        RunsOn = "RUNS_ON",
        /// The other houses it.
        HostedOn = "HOSTED_ON",
        /// It is connected to the other.
        ConnectsTo = "CONNECTS_TO",
        /// It is a part of the other.
        PartOf = "PART_OF",
        /// It makes use of the other, and works without.
        Uses = "USES",
    }
}
