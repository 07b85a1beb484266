"""What is whole stays whole, whatever happens to a command: killed, no room, broken disks, a crowd, a wrong clock."""
